#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "bench/shapes.h"
#include "cli/commands.h"
#include "cli/device.h"
#include "core/counted.h"
#include "core/text.h"

namespace rcnn {
namespace {

/// `rcnn lab`, whether or not another file has added it.
CLI::App* lab_command(CLI::App& program) {
  const auto found = program.get_subcommands([](CLI::App* app) { return app->get_name() == "lab"; });
  if (!found.empty()) return found.front();
  CLI::App* lab =
      program.add_subcommand("lab", "Measure kernels on the shapes of a real training or detection");
  lab->require_subcommand(1);
  return lab;
}

}  // namespace

void add_lab_replay(CLI::App& program) {
  struct Options {
    std::string file;
    double seconds = 10;
    std::optional<double> within;
    DeviceOptions device;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app = lab_command(program)->add_subcommand(
      "replay", "Time the op calls of a step that --capture recorded, and compare with that step");
  app->add_option("file", options->file, "what `--capture FILE` of train, detect or profile has written")
      ->required()
      ->type_name("FILE");
  app->add_option("--seconds", options->seconds,
                  "seconds to measure; every case runs at least three times [10]")
      ->check(CLI::Range(0.0, 3600.0))
      ->check(finite_number());
  app->add_option("--within", options->within,
                  "fail unless the sum is within so many per cent of the captured step")
      ->check(CLI::Range(0.0, 1000.0))
      ->check(finite_number());
  options->device.add(*app);
  app->callback([options] {
    const Capture capture = read_capture(options->file);
    if (options->device.precision.empty()) options->device.precision = capture.precision;
    const auto ctx = options->device.make_context({});
    options->device.print_start();
    fmt::print("{} of `{}` on {} with {}\n", counted(capture.steps, "step"), printable(capture.command),
               printable(capture.device), counted(capture.threads, "thread"));
    std::vector<Replayed> replayed;
    try {
      replayed = replay(*ctx, capture, options->seconds);
    } catch (const std::exception& fault) {  // also of sizes that no tensor can have
      throw InputError(fmt::format("{}: {}", options->file, fault.what()));
    }
    const double share = print_replay(capture, replayed);
    options->device.print_sync_report();
    if (options->within)
      check(std::fabs(share - 1) * 100 <= *options->within,
            "--within {:g}: the replayed ops are {:.1f} % of the step", *options->within, share * 100);
  });
}

}  // namespace rcnn
