#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/data_options.h"
#include "cli/device.h"
#include "core/error.h"
#include "core/files/output.h"
#include "core/text.h"
#include "data/folder.h"
#include "eval/print.h"
#include "eval/proposals.h"
#include "models/detector.h"

namespace rcnn {
namespace {

/// Proposals have no class, so the recall that is printed is that of all objects, also of those that the
/// model has no name for. Data without any object has no classes, and is read with those of the model.
Dataset read_objects(const DataFolder& folder, const std::string& split, const Detector& detector) {
  try {
    return read_split(folder, split);
  } catch (const InputError&) {
    return read_split(folder, split, detector.classes);
  }
}

}  // namespace

void add_propose(CLI::App& program) {
  struct Options {
    std::string weights, data, split, out;
    int workers = 2;
    bool force = false;
    DataOptions reading;
    DeviceOptions device;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app =
      program.add_subcommand("propose", "Write the proposals of an RPN, for train --mode fast-rcnn");
  app->add_option("--weights", options->weights, "trained model (best.safetensors), or torchvision's .pth")
      ->required()
      ->type_name("FILE");
  app->add_option("--data", options->data, "folder of labelled images, or a file of annotations")
      ->required()
      ->type_name("PATH");
  app->add_option("--split", options->split,
                  "split to propose on [train, or everything if the data has no splits]")
      ->type_name("TEXT");
  app->add_option("--out", options->out, "file to write, in COCO's results format")
      ->required()
      ->type_name("FILE");
  app->add_option("--workers", options->workers, "threads that load images [2]")->check(CLI::Range(0, 256));
  add_force(*app, options->force);
  options->reading.add(*app);
  options->device.add(*app);
  app->callback([options] {
    Detector detector = load_model(options->weights);
    if (!detector.note.empty() && !detector.head_untrained)
      fmt::print("{}\n", printable_lines(detector.note));
    const DataFolder folder = options->reading.find(options->data);
    for (const std::string& note : folder.notes) fmt::print("{}\n", printable(note));
    const bool open = options->split.empty() && !folder.splits.empty();
    Dataset data = read_objects(folder, open ? "train" : options->split, detector);
    OutputCheck outputs(options->force);
    outputs.reads(options->weights);
    outputs.reads(options->device.plans);
    outputs.reads(options->data);
    for (const Sample& sample : data.samples) outputs.reads(sample.image);
    outputs.writes("--out", options->out);
    const auto ctx = options->device.make_context(detector.model->config);
    move_to(*detector.model, ctx->device);
    options->device.print_start();
    const ProposalCounts counts =
        write_proposals(*ctx, *detector.model, data, options->workers, options->out, data.faults);
    print_faults(data.faults);
    fmt::print("{}: {}\n", options->out, describe(counts));
    options->device.print_sync_report();
  });
}

}  // namespace rcnn
