#include <fmt/format.h>

#include "bench/lab_time.h"
#include "bench/model_bench.h"
#include "cli/commands.h"
#include "cli/device.h"
#include "cli/model_options.h"
#include "core/text.h"

namespace rcnn {

void add_model_options(CLI::App& app, ModelBenchOptions& options) {
  app.add_option("--model", options.model, fmt::format("the detector [{}]", options.model));
  app.add_option("--batch", options.batch, "images per training step [4]")->check(CLI::Range(1, 1024));
  app.add_option("--height", options.height, "height of the images, in pixels [240]")
      ->check(CLI::Range(32, 8192));
  app.add_option("--width", options.width, "width of the images, in pixels [320]")
      ->check(CLI::Range(32, 8192));
  app.add_option("--detect-height", options.detect_height, "height of the image to detect on [--height]")
      ->check(CLI::Range(32, 8192));
  app.add_option("--detect-width", options.detect_width, "width of the image to detect on [--width]")
      ->check(CLI::Range(32, 8192));
  app.add_option("--classes", options.classes, "number of classes [3]")->check(CLI::Range(1, 10000));
  app.add_option("--objects", options.objects, "objects per image [8]")->check(CLI::Range(1, 10000));
  app.add_option("--steps", options.steps, fmt::format("timed repetitions [{}]", options.steps))
      ->check(CLI::Range(1, 100000));
  app.add_option("--warm-up", options.warm_up, fmt::format("repetitions before these [{}]", options.warm_up))
      ->check(CLI::Range(0, 1000));
}

void add_bench(CLI::App& program) {
  CLI::App* app = program.add_subcommand("bench", "Time a model, or all ops of the engine");
  app->require_subcommand(1);

  auto options = std::make_shared<ModelBenchOptions>();
  CLI::App* model = app->add_subcommand("model", "Time a training step and a detection on noise");
  model
      ->add_option(
          "--what", options->what,
          "what to time, separated by commas: train_step, detect, dense (the backbone, the pyramid and the "
          "RPN's head) [train_step,detect]")
      ->delimiter(',')
      ->check(CLI::IsMember({"train_step", "detect", "dense"}));
  add_model_options(*model, *options);
  model->add_flag("--json", options->json, "print one JSON object per line");
  model->add_flag(
      "--profile", options->profile,
      "print where the time and the memory go, as `rcnn profile` does; with --json on standard error");
  model->add_flag("--cuda-graph", options->cuda_graph, "on a GPU, record a step once and replay it");
  auto device = std::make_shared<DeviceOptions>();
  device->add(*model);
  model->callback([options, device] {
    const auto ctx = device->make_context(model_config(options->model));
    options->version = version_line();
    options->plans = device->plans;
    if (!options->json)
      device->print_start();
    else if (device->read_plans())  // standard output has JSON alone
      fmt::print(stderr, "{}\n", printable(device->read_plans()->note));
    bench_model(*ctx, *options);
    device->print_sync_report();
  });

  // The same measurement as `rcnn lab time`, for a fixed time, on ops chosen by a part of their name.
  auto op_options = std::make_shared<LabTimeOptions>();
  op_options->roofs = false;
  CLI::App* ops = app->add_subcommand("ops", "Time every variant of every op on the shapes of the models");
  ops->add_option("--op", op_options->op_parts,
                  "only ops whose name contains one of these, separated by commas")
      ->delimiter(',')
      ->type_name("TEXT");
  add_time_options(*ops, *op_options);
  ops->add_option("--variant", op_options->variants, "only these variants, separated by commas")
      ->delimiter(',')
      ->type_name("TEXT");
  ops->add_option("--seconds", op_options->seconds, "seconds for each variant and shape [0.2]")
      ->check(CLI::Range(0.0, 60.0));
  ops->callback([op_options] {
    op_options->version = version_line();
    op_options->commit = commit_name();
    lab_time(*op_options);
  });
}

}  // namespace rcnn
