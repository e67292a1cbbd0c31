#include <fmt/format.h>

#include "bench/lab_tune.h"
#include "bench/plan_use.h"
#include "cli/commands.h"
#include "cli/device.h"
#include "core/cuda/device.h"
#include "core/files/atomic_file.h"
#include "core/files/output.h"
#include "core/text.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> names;
  std::string shapes, plans;
  double seconds = 1, noise = 0.005;
  bool force = false;
  DeviceOptions device;
};

/// The file of plans, in a folder that exists.
fs::path plan_file(const std::string& given) {
  if (!given.empty()) return given;
  const fs::path file = default_plan_file();
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  check_input(!error, "{}: cannot create the folder: {}", file.parent_path().string(), error.message());
  return file;
}

void tune_shapes(const Options& options) {
  const std::vector<LabName> names = parse_lab_names(options.names);
  const Capture capture = read_capture(options.shapes);
  const auto calls = calls_to_tune(capture, names);
  const fs::path file = plan_file(options.plans);
  check_extension("--plans", file, ".json");
  OutputCheck outputs(options.force);
  outputs.reads(options.shapes);
  outputs.writes("--plans", file);
  check_same_kind("--plans", file, "plans", "plans of `lab tune`");
  if (options.force && has_other_version(file)) {
    write_atomically(file, plan_file_text({}));
    fmt::print("{}: its plans had the form of another version; it begins anew\n", printable(file.string()));
  }
  // What cannot be read or written is known before hours of measuring.
  if (const auto replaced = add_to_plan_file(file, {}); !replaced.empty())
    fmt::print("{}: {} of its plans are removed, because a later one is for the same calls ({})\n",
               printable(file.string()), replaced.size(), replaced_text(replaced));
  DeviceOptions device = options.device;
  if (device.precision.empty()) device.precision = capture.precision;
  const auto ctx = device.make_context({});
  device.print_start();
  const Tuned tuned = tune(*ctx, capture, calls, place_of(ctx->device, commit_name()),
                           measure_ways(*ctx, {options.seconds, options.noise}),
                           [&](const PlanEntry& entry) { add_to_plan_file(file, {entry}); });
  fmt::print("{}: {} of {} shapes run in another way than without plans\n", file.string(), tuned.changed,
             tuned.measured);
  if (tuned.measured > 0)
    fmt::print("their calls of a step: {:.3f} ms without plans, {:.3f} ms with them\n", tuned.before,
               tuned.after);
  const auto left_out = [](size_t count, const char* what) {
    if (count > 0) fmt::print("left out: {} {}\n", count, what);
  };
  left_out(tuned.unconfirmed, "plans that a second measurement did not confirm");
  left_out(tuned.one_way, "shapes that have one way only");
  left_out(tuned.by_values,
           "calls whose variant depends on values, as that of a gradient with rows of zeros");
  left_out(tuned.too_large, "calls that are too large for a simulated GPU");
  fmt::print("--plans {} uses them in train, detect, eval and the others (docs/manual.md)\n", file.string());
  check(tuned.failed == 0, "{} measurements failed, see above", tuned.failed);
}

}  // namespace

void add_lab_tune(CLI::App& lab) {
  auto options = std::make_shared<Options>();
  CLI::App* app = lab.add_subcommand(
      "tune", "Measure which variant, or which cut of its work, is fastest for the shapes of a real step");
  app->add_option("ops", options->names, "ops that take plans, as in conv2d [all]")->type_name("OP");
  app->add_option("--shapes", options->shapes,
                  "what `--capture FILE` of train, detect or profile has written")
      ->required()
      ->type_name("FILE");
  app->add_option("--plans", options->plans,
                  "keep the plans in this file, beside those it has [rcnn/plans.json in the cache folder]")
      ->type_name("FILE");
  app->add_option("--seconds", options->seconds, "at most, for each way to run a shape [1]")
      ->check(CLI::Range(0.0, 600.0))
      ->check(finite_number());
  app->add_option("--noise", options->noise,
                  "stop earlier, once the median is known to within this share of it [0.005]")
      ->check(CLI::Range(0.0, 1.0))
      ->check(finite_number());
  options->device.add_place(*app);
  add_force(*app, options->force);
  app->callback([options] { tune_shapes(*options); });
}

}  // namespace rcnn
