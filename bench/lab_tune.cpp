#include "bench/lab_tune.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "bench/lab_results.h"
#include "core/error.h"
#include "core/text.h"
#include "kernels/ops.h"

namespace rcnn {
namespace {

using kernels::CallPlan;
using kernels::PlannedCall;

std::string name_of(const CallPlan& plan) {
  return plan.cut.empty() ? plan.variant : plan.variant + ", " + plan.cut;
}

void print_ways(const PlannedCall& call, double calls, const std::vector<CallPlan>& ways,
                const std::vector<TimedWork>& times, size_t kept) {
  fmt::print("{} {}: {:g} call{} of a step\n", call.op, call.shape, calls, calls == 1 ? "" : "s");
  for (size_t i = 0; i < ways.size(); ++i) {
    const Timing& t = times[i].timing;
    const std::string name = name_of(ways[i]);
    if (!times[i].error.empty())
      fmt::print("  {:<36} failed: {}\n", name, printable(times[i].error));
    else
      fmt::print("  {:<36}{:>10.4f} ms {:>6.1f} %{}\n", name, t.seconds * 1e3, t.noise * 100,
                 i == kept ? (i == 0 ? "  as without a plan" : "  the plan")
                 : i == 0  ? "  without a plan"
                           : "");
  }
}

/// `again`: what runs without a plan, and the way.
void print_unconfirmed(const CallPlan& way, const std::vector<TimedWork>& again) {
  if (!again[0].error.empty() || !again[1].error.empty())
    fmt::print("  measured once more, {} failed: no plan\n",
               again[1].error.empty() ? "the rule's" : name_of(way));
  else
    fmt::print("  measured once more, {} takes {:.4f} ms and the rule's {:.4f} ms: no plan\n", name_of(way),
               again[1].timing.seconds * 1e3, again[0].timing.seconds * 1e3);
}

/// Of the variant that the op's table prefers.
std::string precision_of(const PlannedCall& call) {
  std::string precision;
  kernels::for_each_op([&](const auto& op) {
    if (call.op != op.name) return;
    for (const auto& variant : op.variants)
      if (call.preferred == variant.name) precision = rcnn::name_of(variant.backend.precision);
  });
  return precision;
}

std::unique_ptr<RepeatedCall> repeated(const CapturedOp& op, Device device) {
  try {
    return op_calls().at(op.op).repeat(op.call, op.values, device);
  } catch (const Error& fault) {  // also of sizes that no tensor can have
    throw InputError(fmt::format("--shapes: {}", fault.what()));
  }
}

/// Whether a simulated GPU would take too long.
bool is_too_large(const Context& ctx, const CapturedOp& op) {
  constexpr double kMaxWork = 3e7;  // FLOP or bytes
  if (ctx.device.type != DeviceType::cuda || !cuda::is_simulated()) return false;
  const CallWork work = op_calls().at(op.op).work(op.call);
  return std::max(work.flop, work.bytes) > kMaxWork;
}

}  // namespace

std::vector<const CapturedOp*> calls_to_tune(const Capture& capture, const std::vector<LabName>& names) {
  std::set<std::string_view> tunable;
  for (const auto& [name, calls] : op_calls())
    if (calls.takes_plans) tunable.insert(name);
  for (const LabName& name : names) {
    check_input(tunable.contains(name.op), "{}: it takes no plans; the ops that do: {}", name.op,
                fmt::join(tunable, ", "));
    check_input(name.variant.empty(), "{}={}: plans are chosen among all variants of an op; expected {}",
                name.op, name.variant, name.op);
  }
  std::vector<const CapturedOp*> calls;
  for (const CapturedOp& op : capture.ops)
    if (tunable.contains(op.op) && names_op(names, op.op)) calls.push_back(&op);
  check_input(
      !calls.empty(), "--shapes: the file has no call of {}",
      names.empty() ? fmt::format("an op that takes plans: {}", fmt::join(tunable, ", ")) : names.front().op);
  const auto share = [](const CapturedOp* op) { return static_cast<double>(op->calls) * op->ms; };
  std::ranges::stable_sort(calls, std::greater(), share);
  return calls;
}

MeasureWays measure_ways(Context& ctx, const StopRule& rule) {
  return [&ctx, rule](RepeatedCall& call, const std::vector<CallPlan>& ways, bool packs) {
    const bool on_gpu = ctx.device.type == DeviceType::cuda, simulated = on_gpu && cuda::is_simulated();
    const PlannedCall planned = call.planned_call(ctx);
    std::vector<std::function<void()>> works;
    for (const CallPlan& way : ways) {
      works.push_back([&ctx, &call, planned, way, packs, simulated] {
        use_plan(ctx, planned, way);
        call.run(ctx, packs);
        if (simulated) cuda::synchronize(ctx.device);
      });
    }
    const auto before = ctx.kernels;
    std::vector<TimedWork> times;
    if (on_gpu && !simulated) {
      std::vector<MakeSampler> samplers;
      for (const auto& work : works) samplers.push_back([&ctx, &work] { return gpu_sampler(ctx, work); });
      times = time_samplers_in_turn(samplers, rule);
    } else {
      times = time_in_turn(works, simulated ? StopRule{0, 0} : rule);
    }
    ctx.kernels = before;
    return times;
  };
}

size_t best_way(const std::vector<TimedWork>& times) {
  size_t best = 0;
  const TimedWork& first = times.at(0);
  for (size_t i = 1; i < times.size(); ++i) {
    const Timing& t = times[i].timing;
    if (!first.error.empty() || !times[i].error.empty()) continue;
    const double change = 1 + min_change(t.noise, first.timing.noise);
    bool faster = t.seconds * change < first.timing.seconds && t.p10 * change < first.timing.p10;
    for (size_t round = 0; round < std::min(t.rounds.size(), first.timing.rounds.size()); ++round)
      faster = faster && t.rounds[round] < first.timing.rounds[round];
    if (faster && t.seconds < times[best].timing.seconds) best = i;
  }
  return best;
}

Tuned tune(Context& ctx, const Capture& capture, const std::vector<const CapturedOp*>& calls,
           const PlanPlace& place, const MeasureWays& measure,
           const std::function<void(const PlanEntry&)>& keep) {
  const InferenceMode mode(ctx);
  Tuned tuned;
  struct Times {
    double without = 0, with = 0;  // milliseconds of a call
  };
  std::map<PlannedCall, Times> known;
  for (const CapturedOp* op : calls) {
    const OpCalls& of_op = op_calls().at(op->op);
    if (of_op.depends_on_values(op->call)) {
      ++tuned.by_values;
      continue;
    }
    if (is_too_large(ctx, *op)) {
      ++tuned.too_large;
      continue;
    }
    const std::unique_ptr<RepeatedCall> call = repeated(*op, ctx.device);
    const PlannedCall planned = call->planned_call(ctx);
    const double count = static_cast<double>(op->calls) / static_cast<double>(capture.steps);
    const auto [found, is_new] = known.insert({planned, {}});
    if (is_new) {
      const std::vector<CallPlan> ways = call->ways(ctx);
      if (ways.size() == 1) {
        ++tuned.one_way;
        continue;
      }
      const bool packs = 2 * op->packed >= op->calls;
      const std::vector<TimedWork> times = measure(*call, ways, packs);
      size_t best = best_way(times);
      std::vector<TimedWork> again;
      if (best != 0) again = measure(*call, {ways[0], ways[best]}, packs);
      const bool confirmed = best != 0 && best_way(again) == 1;
      print_ways(planned, count, ways, times, confirmed ? best : 0);
      for (const TimedWork& timed : times) tuned.failed += !timed.error.empty();
      for (const TimedWork& timed : again) tuned.failed += !timed.error.empty();
      if (!times.front().error.empty()) continue;  // there is nothing to compare with
      if (best != 0 && !confirmed) {
        print_unconfirmed(ways[best], again);
        ++tuned.unconfirmed;
        best = 0;
      }
      PlanEntry entry{place, planned, precision_of(planned), utc_now(), ways[best], {}};
      for (size_t i = 0; i < ways.size(); ++i)
        if (const Timing& t = times[i].timing; times[i].error.empty())
          entry.times.push_back({ways[i], t.seconds * 1e3, t.p10 * 1e3, t.noise});
      keep(entry);
      ++tuned.measured;
      tuned.changed += best != 0;
      const TimedWork &without = best == 0 ? times[0] : again[0], &with = best == 0 ? times[0] : again[1];
      found->second = {without.timing.seconds * 1e3, with.timing.seconds * 1e3};
    }
    tuned.before += count * found->second.without;
    tuned.after += count * found->second.with;
  }
  return tuned;
}

}  // namespace rcnn
