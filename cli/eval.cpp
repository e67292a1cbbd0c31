#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/device.h"
#include "data/voc.h"
#include "train/evaluate.h"
#include "train/run_report.h"

namespace rcnn {

void add_eval(CLI::App& program) {
  struct Options {
    std::string weights, data, split = "test", out;
    int workers = 2;
    DeviceOptions device;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app =
      program.add_subcommand("eval", "Average precision of a trained detector on labelled images");
  app->add_option("--weights", options->weights, "a trained model (model.safetensors)")
      ->required()
      ->type_name("FILE");
  app->add_option("--data", options->data, "a Pascal VOC folder")->required()->type_name("DIR");
  app->add_option("--split", options->split, "the split to evaluate [test]")->type_name("TEXT");
  app->add_option("--out", options->out, "write the detections here, in COCO's results form")
      ->type_name("FILE");
  app->add_option("--workers", options->workers, "threads that load images [2]")->check(CLI::Range(0, 256));
  options->device.add(*app);
  app->callback([options] {
    Detector detector = load_model(options->weights);
    const Dataset data = read_voc(options->data, options->split, detector.classes);
    const auto ctx = options->device.make_context(detector.model->config);
    move_to(*detector.model, ctx->device);
    FinishedRun run;
    run.split = options->split;
    run.faults = data.faults;
    run.detections = detect_dataset(*ctx, *detector.model, data, options->workers, run.faults);
    run.result = evaluate_voc(run.detections, data);
    if (!options->out.empty()) write_detections(options->out, run.detections, data.samples, detector.classes);
    print_ap_table(run.result, run.split);
    print_faults(run.faults);
    options->device.print_sync_report();
  });
}

}  // namespace rcnn
