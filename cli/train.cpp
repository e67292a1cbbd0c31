#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <csignal>
#include <utility>

#include "bench/capture.h"
#include "cli/commands.h"
#include "cli/data_options.h"
#include "cli/device.h"
#include "cli/kernels.h"
#include "cli/ranks.h"
#include "cli/requeue.h"
#include "cli/settings.h"
#include "core/world/device.h"
#include "train/trainer.h"

namespace rcnn {

namespace {

/// The settings that `rcnn train --help` shows; --help-all shows all of them.
constexpr std::string_view kFirstOptions[] = {"data",       "model",  "weights", "epochs", "batch",
                                              "short-side", "device", "out",     "seed"};

/// Reads the two words of --explain-every, which are empty without the option.
void take_explained(const std::pair<std::string, std::string>& words, RunOptions& run) {
  const auto& [every, image] = words;
  if (every.empty() && image.empty()) return;
  const char* end = every.data() + every.size();
  const auto [stop, error] = std::from_chars(every.data(), end, run.explain_every);
  check_input(error == std::errc() && stop == end && run.explain_every >= 1,
              "--explain-every {} {}: expected N IMAGE: a number of steps of 1 or more, then an image, as in "
              "--explain-every 50 photo.jpg",
              every, image);
  run.explain_image = image;
}

}  // namespace

void add_train(CLI::App& program, const std::string& command_line) {
  struct Options {
    SettingFlags flags;
    std::string config, capture, plans;
    std::vector<std::string> kernels;
    std::pair<std::string, std::string> explain;  // N and IMAGE
    double rank_timeout = World::Watch{}.seconds;
    int gpus = 0;
    std::string rendezvous;
    bool resume = false, force = false, dry_run = false, sync_report = false, allow_changed_data = false,
         requeue = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app = program.add_subcommand("train", "Train a detector, then evaluate it and write a report");
  app->set_help_flag("-h,--help")->group("");
  app->set_help_all_flag("--help-all", "show every setting with its default");
  app->footer(
      fmt::format("Models: {}\n", fmt::join(model_names(), ", ")) +
      "Example: rcnn train --data photos --out run\n"
      "Settings come from the model's defaults, then the data, then --config, then the flags. The data may\n"
      "be Pascal VOC, XML files beside the images, COCO, YOLO, CVAT, labelme, VIA, TensorFlow's CSV, Open\n"
      "Images, or folders train, valid and test with any of these.");
  const std::string more(kMoreOptions);
  options->flags.add(*app, train_fields(), TrainConfig{}, more + "training", kFirstOptions);
  options->flags.add(*app, model_fields(), model_config(model_names().front()),
                     more + "model, with the defaults of " + model_names().front(), kFirstOptions);
  app->add_flag("--resume", options->resume, "continue the run in --out from its last checkpoint");
  app->add_flag("--allow-changed-data", options->allow_changed_data,
                "resume although training images or their annotations have changed")
      ->group(more + "training");
  add_threads(*app)->group(more + "training");
  add_max_megapixels(*app)->group(more + "training");
  add_force(*app, options->force)->group(more + "training");
  app->add_option("--gpus", options->gpus, "train with so many processes on this machine, each with a GPU")
      ->check(CLI::Range(1, 1024))
      ->type_name("N")
      ->group(more + "training");
  add_rendezvous(*app, options->rendezvous)->group(more + "training");
  add_rank_timeout(*app, options->rank_timeout)->group(more + "training");
  app->add_flag("--requeue", options->requeue,
                "in a job of Slurm that is stopped or loses a process: run it again (scontrol requeue)")
      ->group(more + "training");
  app->add_option("--config", options->config, "TOML file with any of the settings")->type_name("FILE");
  const std::string inspection = more + "inspection";
  app->add_flag("--dry-run", options->dry_run,
                "describe the data, print how much memory the run takes, and stop")
      ->group(inspection);
  app->add_option("--kernel", options->kernels, kernel_help("conv2d=reference"))
      ->type_name("OP=VARIANT")
      ->group(inspection);
  add_plans(*app, options->plans)->group(inspection);
  app->add_flag("--sync-report", options->sync_report, "print where the host waited for the GPU")
      ->group(inspection);
  app->add_option("--explain-every", options->explain,
                  "every N steps, keep what the network makes of the image: learning.html plays it")
      ->type_name("N IMAGE")
      ->group(inspection);
  app->add_option("--capture", options->capture, "record the ops of steps 4 to 13, for `rcnn lab replay`")
      ->type_name("FILE")
      ->group(inspection);
  app->callback([options, command_line] {
    std::signal(SIGPIPE, SIG_IGN);  // a log whose reader has gone does not end a training (core/log.h)
    const bool meets = use_rendezvous(options->rendezvous);
    if (options->gpus > 0) start_gpus(options->gpus);
    World& world = join_world();
    world.watch.seconds = options->rank_timeout;
    check_all_or_none(world, "--dry-run", options->dry_run);
    check_gpus(world, options->gpus);
    if (options->requeue) {
      check_input(options->resume, "--requeue needs --resume: the job begins again with the same command");
      prepare_requeue();
    }
    RunOptions run;
    run.world = &world;
    Settings settings;
    if (!options->config.empty()) settings = read_settings(options->config);
    for (const auto& setting : options->flags.given()) settings.push_back(setting);
    run.suited = apply_settings(settings, run.model, run.train, options->resume);
    check_input(options->gpus == 0 || run.train.device == "auto" || run.train.device == "cuda",
                "--gpus {} chooses a GPU for each process; expected no --device {} beside it", options->gpus,
                run.train.device);
    if (options->gpus > 0) run.train.device = "cuda";  // also where it is simulated, which "auto" leaves out
    run.resume = options->resume;
    run.starts_ranks = options->gpus > 0 || meets;
    run.force = options->force;
    run.settings_file = options->config;
    run.allow_changed_data = options->allow_changed_data;
    run.dry_run = options->dry_run;
    take_explained(options->explain, run);
    run.command_line = command_line;
    run.version = version_line();
    run.kernels = parse_kernels(options->kernels);
    run.plans_file = options->plans;
    if (!options->plans.empty())
      run.plans = plans_for(options->plans, choose_device(run.train.device, world).device);
    if (!world.is_first()) options->capture.clear();
    const auto capture = make_capture(
        {.file = options->capture, .command = command_line, .version = run.version}, options->force,
        {run.train.data, run.train.weights, run.train.proposals, options->config, options->plans},
        run.train.out);
    run.steps_watcher = capture.get();
    train_detector(run);
    if (capture) capture->finish();
    if (options->sync_report) print_host_waits();
  });
}

}  // namespace rcnn
