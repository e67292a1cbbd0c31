#include "cli/commands.h"
#include "cli/device.h"
#include "cli/kernels.h"
#include "cli/settings.h"
#include "train/trainer.h"

namespace rcnn {

void add_train(CLI::App& program, const std::string& command_line) {
  struct Options {
    SettingFlags flags;
    std::string config;
    std::vector<std::string> kernels;
    bool resume = false, sync_report = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app = program.add_subcommand("train", "Train a detector, then evaluate it and write a report");
  app->footer(
      "Settings come from the model's defaults, then --config, then the flags.\n"
      "Example: rcnn train --data photos --train train --test test --epochs 20 --out run");
  app->add_option("--config", options->config, "a TOML file with any of the settings below")
      ->type_name("FILE");
  app->add_flag("--resume", options->resume, "go on with the run in --out from its last checkpoint");
  app->add_option("--kernel", options->kernels, "use this variant of an op: --kernel conv2d=reference")
      ->type_name("OP=VARIANT");
  app->add_flag("--sync-report", options->sync_report, "print where the host waited for the GPU");
  options->flags.add(*app, train_fields(), TrainConfig{}, "Training");
  options->flags.add(*app, model_fields(), model_config(model_names().front()),
                     "Model (defaults of " + model_names().front() + ")");
  app->callback([options, command_line] {
    RunOptions run;
    Settings settings;
    if (!options->config.empty()) settings = read_settings(options->config);
    for (const auto& setting : options->flags.given()) settings.push_back(setting);
    apply_settings(settings, run.model, run.train);
    run.resume = options->resume;
    run.command_line = command_line;
    run.version = version_line();
    run.kernels = parse_kernels(options->kernels);
    train_detector(run);
    if (options->sync_report) print_host_waits();
  });
}

}  // namespace rcnn
