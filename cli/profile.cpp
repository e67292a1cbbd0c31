#include "cli/commands.h"
#include "cli/device.h"
#include "cli/model_options.h"

namespace rcnn {

void add_profile(CLI::App& program, const std::string& command_line) {
  struct Options {
    ModelBenchOptions model;
    std::string what = "train_step", by;
    bool no_values = false;
    DeviceOptions device;
  };
  auto options = std::make_shared<Options>();
  options->model.steps = 5;
  options->model.warm_up = 3;
  CLI::App* app = program.add_subcommand("profile", "Show where a step's time and memory go, layer by layer");
  app->footer(
      "Images are noise and weights are random. Examples:\n"
      "  rcnn profile --model nano-fpn --trace step.json    open step.json in ui.perfetto.dev\n"
      "  rcnn profile --what detect --by layer");
  app->add_option("--what", options->what,
                  "train_step, detect, or dense (the backbone, the pyramid and the RPN's head) [train_step]")
      ->check(CLI::IsMember({"train_step", "detect", "dense"}));
  add_model_options(*app, options->model);
  app->add_option("--by", options->by, "one table: by op, layer, or both [two tables: op and layer]")
      ->check(CLI::IsMember({"op", "layer", "both"}));
  app->add_option("--rows", options->model.profile_rows, "lines of each table [25]")
      ->check(CLI::Range(1, 10000));
  app->add_option("--trace", options->model.trace, "also write the calls as a trace for Perfetto and Chrome")
      ->type_name("FILE");
  CLI::Option* capture =
      app->add_option(
             "--capture", options->model.capture,
             "instead of the tables, record the shapes of the ops in this file, for `rcnn lab replay`")
          ->type_name("FILE");
  app->add_flag("--no-values", options->no_values,
                "with --capture, record shapes alone and no values of inputs")
      ->needs(capture);
  add_force(*app, options->model.force);
  options->device.add(*app);
  app->callback([options, command_line] {
    ModelBenchOptions& model = options->model;
    model.what = {options->what};
    model.profile = model.capture.empty();
    check_input(model.profile || model.trace.empty(), "--trace and --capture exclude each other");
    model.profile_by = options->by;
    model.capture_values = !options->no_values;
    model.command_line = command_line;
    model.version = version_line();
    model.plans = options->device.plans;
    const auto ctx = options->device.make_context(model_config(model.model));
    options->device.print_start();
    bench_model(*ctx, model);
    options->device.print_sync_report();
  });
}

}  // namespace rcnn
