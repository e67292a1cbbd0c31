#include "bench/lab_time.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "bench/lab_results.h"
#include "bench/lab_timer.h"
#include "core/files/atomic_file.h"
#include "core/files/output.h"
#include "core/parallel.h"
#include "kernels/op_cases.h"
#include "models/config.h"

namespace rcnn {
namespace {

bool has_part(const std::vector<std::string>& parts, std::string_view op) {
  return parts.empty() || std::ranges::any_of(parts, [&](const std::string& part) {
           return op.find(part) != std::string_view::npos;
         });
}

/// Checks that one of the ops to time has a variant of this name.
void check_variant(const LabTimeOptions& options, const std::vector<LabName>& names,
                   const std::string& name) {
  bool known = false;
  kernels::for_each_op([&](const auto& op) {
    if (!has_part(options.op_parts, op.name) || !names_op(names, op.name)) return;
    for (const auto& variant : op.variants) known |= name == variant.name;
  });
  check_input(known, "--variant {}: no op that is to be timed has a variant of that name", name);
}

/// Checks that each op that is named, or without names some op, has the cases that are asked for.
void check_cases(const LabTimeOptions& options, const std::vector<LabName>& names) {
  for (const int64_t number : options.cases) {
    int64_t max_count = 0;
    kernels::for_each_op([&](const auto& op) {
      if (!has_part(options.op_parts, op.name) || !names_op(names, op.name)) return;
      const auto count = static_cast<int64_t>(cases_of(op).timed().size());
      if (!names.empty()) check_case(op.name, number, static_cast<size_t>(count));
      max_count = std::max(max_count, count);
    });
    check_input(number < max_count, "--case {}: no op that is to be timed has more cases than 0 to {}",
                number, max_count - 1);
  }
}

LabTimerOptions timer_options(const LabTimeOptions& options, const std::vector<LabName>& names) {
  LabTimerOptions timer;
  timer.stop = {options.seconds, options.noise};
  timer.cold = options.cold;
  timer.once = options.once;
  timer.slowest = options.slowest;
  timer.chosen = options.chosen;
  timer.wanted = [&options, &names](std::string_view op, std::string_view variant) {
    return names_variant(names, op, variant) &&
           (options.variants.empty() ||
            std::ranges::find(options.variants, variant) != options.variants.end());
  };
  return timer;
}

}  // namespace

void lab_time(const LabTimeOptions& options) {
  const cuda::DeviceChoice choice = cuda::choose_device(options.device);
  const bool on_gpu = choice.device.type == DeviceType::cuda;
  const std::vector<LabName> names = parse_lab_names(options.names);
  for (const std::string& name : options.variants) check_variant(options, names, name);
  bool known = false;
  kernels::for_each_op([&](const auto& op) { known |= has_part(options.op_parts, op.name); });
  check_input(known, "--op {}: no op has that in its name", fmt::join(options.op_parts, ","));
  check_cases(options, names);
  OutputCheck outputs(options.force);
  struct Output {
    const char *option, *extension;
    const std::filesystem::path& file;
  };
  for (const Output& output : {Output{"--json", ".json", options.json},
                               {"--markdown", ".md", options.markdown},
                               {"--svg", ".svg", options.svg}}) {
    if (output.file.empty()) continue;
    check_extension(output.option, output.file, output.extension);
    outputs.writes(output.option, output.file);
  }
  if (!options.json.empty()) check_same_kind("--json", options.json, "capability", "times of `lab time`");
  fmt::print("{}\n", choice.line);

  LabRun run;
  run.device = on_gpu ? cuda::device_info(choice.device.index).name : "cpu";
  run.capability = on_gpu ? cuda::device_info(choice.device.index).capability : 0;
  run.machine = machine_name();
  run.threads = thread_count();
  run.toolchain = toolchain_name();
  run.commit = options.commit;
  run.version = options.version;
  run.date = utc_now();
  if (options.roofs && !options.once) {
    Context ctx(choice.device);
    run.roofs = measure_roofs(ctx);
    if (!run.roofs.text.empty()) fmt::print("limits measured now: {}\n", run.roofs.text);
  }

  LabTimer timer(choice.device, timer_options(options, names), run.roofs);
  run.card = timer.card();
  if (on_gpu && !cuda::is_simulated() && !options.once) fmt::print("{}\n", card_text(run.card));
  kernels::for_each_op([&](const auto& op) {
    if (!has_part(options.op_parts, op.name) || !names_op(names, op.name)) return;
    const auto op_cases = cases_of(op);
    const auto cases = op_cases.timed();
    using Prepared =
        decltype(op_cases.prepare(float{}, cases.front(), kernels::Filler(1, kernels::Fill::uniform)));
    timer.time_op(
        op, cases.size(),
        [&](size_t index, kernels::UniformTensors& noted) -> std::optional<Prepared> {
          const auto number = static_cast<int64_t>(index);
          if (!options.cases.empty() && std::ranges::find(options.cases, number) == options.cases.end())
            return {};
          return op_cases.prepare(float{}, cases[index],
                                  kernels::Filler(1, kernels::Fill::uniform, Accumulate::no, &noted));
        },
        [](size_t) { return 1.0; });
    // Written after each op, so that the results remain if a later op ends the program.
    if (!options.json.empty()) write_atomically(options.json, lab_json(run, timer.rows));
  });
  if (!options.markdown.empty()) write_atomically(options.markdown, lab_markdown(run, timer.rows));
  if (!options.svg.empty()) write_atomically(options.svg, lab_roofline(run, timer.rows));
  std::vector<std::vector<std::string>> throttled;
  for (const TimedRow& row : timer.rows) throttled.push_back(row.gpu.throttled);
  if (const std::string held = throttled_text(throttled); !held.empty())
    fmt::print("{}: their times say more of the card than of the kernels\n", held);
  check(timer.failures == 0, "{} measurements failed, see above", timer.failures);
}

}  // namespace rcnn
