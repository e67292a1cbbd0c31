#include "bench/lab_time.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "bench/call_case.h"
#include "bench/lab_results.h"
#include "bench/lab_timer.h"
#include "bench/shapes.h"
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

/// Which cases are to be timed: all those of the options, of the ops' tables or of the file of shapes.
class Cases {
 public:
  explicit Cases(const LabTimeOptions& options) : options_(options) {
    if (!options.shapes.empty()) capture_ = read_capture(options.shapes);
  }

  const std::optional<Capture>& capture() const { return capture_; }

  /// The numbers of the cases of the op.
  template <class Op>
  std::vector<size_t> of(const Op& op) const {
    std::vector<size_t> numbers;
    for (size_t number = 0; number < (capture_ ? capture_->ops.size() : cases_of(op).timed().size());
         ++number)
      if ((!capture_ || capture_->ops[number].op == op.name) &&
          (options_.cases.empty() ||
           std::ranges::find(options_.cases, static_cast<int64_t>(number)) != options_.cases.end()))
        numbers.push_back(number);
    return numbers;
  }

  template <class Op>
  TimedCase<typename Op::Args> prepare(const Op& op, size_t number, kernels::UniformTensors& noted) const {
    using Case = TimedCase<typename Op::Args>;
    if (!capture_) {
      const auto op_cases = cases_of(op);
      return Case{op_cases.prepare(float{}, op_cases.timed()[number],
                                   kernels::Filler(1, kernels::Fill::uniform, Accumulate::no, &noted)),
                  number};
    }
    const CapturedOp& entry = capture_->ops[number];
    try {
      return Case{.prepared = prepare_call(op, entry.call, entry.values, &noted),
                  .number = number,
                  .calls = static_cast<double>(entry.calls) / static_cast<double>(capture_->steps),
                  .keeps_weights = entry.call.value("weights", false),
                  .new_weights = 2 * entry.packed >= entry.calls};
    } catch (const std::exception& fault) {  // also of sizes that no tensor can have
      throw InputError(
          fmt::format("{}: entry {} of \"ops\": {}", options_.shapes.string(), number, fault.what()));
    }
  }

 private:
  const LabTimeOptions& options_;
  std::optional<Capture> capture_ = {};
};

/// Checks that the ops that are named have the cases that are asked for, or without names that some op has.
void check_cases(const LabTimeOptions& options, const std::vector<LabName>& names, const Cases& cases) {
  if (cases.capture()) {
    const auto& ops = cases.capture()->ops;
    for (const int64_t number : options.cases)
      check_input(number < static_cast<int64_t>(ops.size()), "--case {}: {} has the entries 0 to {}", number,
                  options.shapes.string(), ops.size() - 1);
    check_input(std::ranges::any_of(ops, [&](const CapturedOp& op) { return names_op(names, op.op); }),
                "--shapes {}: it has no call of the ops that are named", options.shapes.string());
    return;
  }
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

/// Prints what the calls take of a step. `in_turn`: their times in a replay, or none.
void weigh(const Capture& capture, const std::vector<TimedRow>& rows, const std::vector<Replayed>& in_turn,
           TimedStep& step) {
  EntryTimes alone{"alone ms", std::vector<double>(capture.ops.size(), -1)};
  EntryTimes fastest{"fastest ms", alone.ms};
  for (const TimedRow& row : rows) {
    if (!row.error.empty()) continue;
    const double ms = row.timing.seconds * 1e3;
    if (row.chosen) alone.ms[row.case_index] = ms;
    double& best = fastest.ms[row.case_index];
    best = best < 0 ? ms : std::min(best, ms);
  }
  std::vector<EntryTimes> columns;
  if (!in_turn.empty()) columns.push_back({"in turn ms"});
  for (const Replayed& entry : in_turn) columns.front().ms.push_back(entry.ms);
  columns.insert(columns.end(), {alone, fastest});
  fmt::print("\n");
  const StepSums sum = print_step_table(capture, columns);
  step.ms = capture.step_ms;
  step.entries = sum.entries;
  if (sum.entries == 0) return;
  if (!in_turn.empty()) step.in_turn_ms = sum.columns.front();
  step.fastest_ms = sum.columns.back();
  step.alone_ms = sum.columns[sum.columns.size() - 2];
  step.captured_ms = sum.captured;
  print_share_of_step(capture,
                      sum.entries < capture.ops.size()
                          ? fmt::format("those of {} of its {} entries", sum.entries, capture.ops.size())
                      : in_turn.empty() ? "its calls, each alone,"
                                        : "its calls in turn",
                      sum.columns.front());
}

LabTimerOptions timer_options(const LabTimeOptions& options, const std::vector<LabName>& names,
                              const Cases& cases) {
  LabTimerOptions timer;
  timer.stop = {options.seconds, options.noise};
  timer.cold = options.cold;
  timer.once = options.once;
  timer.slowest = options.slowest;
  timer.chosen = options.chosen;
  if (cases.capture()) timer.precision = parse_precision(cases.capture()->precision);
  if (options.chosen.size() == 1) timer.precision = parse_precision(options.chosen.front());
  timer.wanted = [&options, &names](std::string_view op, std::string_view variant) {
    return names_variant(names, op, variant) &&
           (options.variants.empty() ||
            std::ranges::find(options.variants, variant) != options.variants.end());
  };
  return timer;
}

/// All calls of the step with the variants that the program chooses, for as long as the timer's rule allows.
std::vector<Replayed> run_in_turn(Device device, const Capture& capture, const LabTimerOptions& timer) {
  constexpr double kMaxSeconds = 10;
  Context ctx(device);
  ctx.precision = timer.precision;
  return replay(ctx, capture,
                std::min(kMaxSeconds, timer.stop.seconds * static_cast<double>(capture.ops.size())));
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
  const Cases cases(options);
  check_cases(options, names, cases);
  OutputCheck outputs(options.force);
  if (cases.capture()) {
    outputs.reads(options.shapes);
    outputs.reads(values_file(options.shapes));
  }
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

  if (cases.capture())
    run.step = TimedStep{
        .file = options.shapes.string(), .what = cases.capture()->what, .of = cases.capture()->ops.size()};
  LabTimer timer(choice.device, timer_options(options, names, cases), run.roofs);
  run.card = timer.card();
  if (on_gpu && !cuda::is_simulated() && !options.once) fmt::print("{}\n", card_text(run.card));
  kernels::for_each_op([&](const auto& op) {
    if (!has_part(options.op_parts, op.name) || !names_op(names, op.name)) return;
    const std::vector<size_t> numbers = cases.of(op);
    timer.time_op(op, numbers.size(), [&](size_t index, kernels::UniformTensors& noted) {
      return cases.prepare(op, numbers[index], noted);
    });
    // Written after each op, so that the results remain if a later op ends the program.
    if (!options.json.empty()) write_atomically(options.json, lab_json(run, timer.rows));
  });
  if (cases.capture() && !options.once) {
    std::vector<Replayed> in_turn;
    if (options.names.empty() && options.cases.empty() && options.chosen.size() <= 1 &&
        !(on_gpu && cuda::is_simulated()))
      in_turn = run_in_turn(choice.device, *cases.capture(), timer_options(options, names, cases));
    weigh(*cases.capture(), timer.rows, in_turn, *run.step);
    if (!options.json.empty()) write_atomically(options.json, lab_json(run, timer.rows));
  }
  if (!options.markdown.empty()) write_atomically(options.markdown, lab_markdown(run, timer.rows));
  if (!options.svg.empty()) write_atomically(options.svg, lab_roofline(run, timer.rows));
  std::vector<std::vector<std::string>> throttled;
  for (const TimedRow& row : timer.rows) throttled.push_back(row.gpu.throttled);
  if (const std::string held = throttled_text(throttled); !held.empty())
    fmt::print("{}: their times say more of the card than of the kernels\n", held);
  check(timer.failures == 0, "{} measurements failed, see above", timer.failures);
}

}  // namespace rcnn
