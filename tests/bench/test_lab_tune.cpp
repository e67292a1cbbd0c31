// Plans as `rcnn lab tune` finds them. What `run` makes of them is tested in
// tests/kernels/gemm/test_plans.cpp.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>

#include "bench/lab_tune.h"
#include "bench/plan_use.h"
#include "core/parallel.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;
using kernels::CallPlan;

namespace {

TimedWork time_of(double ms, double noise = 0.01, double p10 = 0) {
  return {{.seconds = ms * 1e-3, .p10 = (p10 > 0 ? p10 : 0.9 * ms) * 1e-3, .noise = noise, .samples = 9}, ""};
}

/// The same in rounds of these milliseconds.
TimedWork time_in_rounds(const std::vector<double>& ms) {
  std::vector<std::vector<double>> rounds;
  for (const double one : ms) rounds.push_back({one * 1e-3, one * 1e-3, one * 1e-3});
  return {timing_of(rounds, false), ""};
}

/// Calls of a 3 x 3 convolution, twice with one shape, of a matrix product, and of what takes no plans.
Capture made_up_capture() {
  Capture capture;
  capture.steps = 2;
  const auto add = [&](const char* op, int64_t calls, double ms, const char* call) {
    capture.ops.push_back(
        {.op = op, .variant = "x", .calls = calls, .ms = ms, .call = CallJson::parse(call)});
  };
  const char* shape = R"({"n":1,"h":12,"w":10,"c":16,"k":32,"r":3,"s":3,"stride":1,"pad":1,"dilation":1})";
  const auto conv = [&](const char* options) {
    return fmt::format(R"({{"case":{{"shape":{},"scale":false,"bias":false,"residual":false,{}}}}})", shape,
                       options);
  };
  add("softmax", 2, 100, R"({"case":{"rows":4,"c":5}})");
  add("conv2d", 4, 0.5, conv(R"("relu":false,"g_every":1)").c_str());
  add("conv2d", 2, 2.0, conv(R"("relu":true,"g_every":1)").c_str());
  add("conv2d_dx", 2, 1.0, conv(R"("relu":false,"g_every":1)").c_str());
  add("conv2d_dw", 2, 3.0, conv(R"("relu":false,"g_every":16)").c_str());
  add("matmul", 2, 0.1,
      R"({"case":{"m":4,"n":5,"k":6,"transpose_a":false,"transpose_b":true,"bias":true,"relu":true}})");
  return capture;
}

/// Every way takes `slow` milliseconds, those of the list as many as it says.
MeasureWays made_up_times(const std::map<std::string, TimedWork>& times, double slow = 5) {
  return [=](RepeatedCall&, const std::vector<CallPlan>& ways, bool) {
    std::vector<TimedWork> found;
    for (const CallPlan& way : ways) {
      const auto at = times.find(way.variant);
      found.push_back(at == times.end() ? time_of(slow) : at->second);
    }
    return found;
  };
}

const PlanPlace kHere{"Made-up processor", 2, "abc"};

}  // namespace

TEST_CASE("lab tune: the fastest beyond the noise is kept, and a tie keeps what runs without a plan") {
  CHECK(best_way({time_of(1)}) == 0);
  CHECK(best_way({time_of(1), time_of(0.9), time_of(0.5), time_of(0.6)}) == 2);
  CHECK(best_way({time_of(1), time_of(1), time_of(0.98)}) == 0);  // less than 3 %
  CHECK(best_way({time_of(1, 0.1), time_of(0.8, 0.1)}) == 0);     // the noise is 3 x 14 %
  CHECK(best_way({time_of(1, 0.1), time_of(0.6, 0.1)}) == 1);
  CHECK(best_way({time_of(1), time_of(0.8, 0.01, 0.9)}) == 0);                // the 10th percentile is not
  CHECK(best_way({time_of(1), time_of(0.5, 0.5), time_of(0.7, 0.01)}) == 2);  // the faster one is too loud
  CHECK(best_way({time_of(1), {{}, "it failed"}, time_of(0.7)}) == 2);
  CHECK(best_way({{{}, "it failed"}, time_of(0.7)}) == 0);
}

TEST_CASE("lab tune: a way is kept only if it is faster in every round") {
  const TimedWork rule = time_in_rounds({1, 1, 1});
  CHECK(best_way({rule, time_in_rounds({0.8, 0.8, 0.8})}) == 1);
  // Another program slowed down the rule's runs alone in two rounds of three: the medians differ by a half.
  TimedWork disturbed = time_in_rounds({2, 1, 2});
  const TimedWork steady = time_in_rounds({1.1, 1.1, 1.1});
  CHECK(best_way({disturbed, steady}) == 0);
  // Nor does it help that the samples of that program's rounds agree so well that they show no noise.
  disturbed.timing.noise = 0;
  CHECK(disturbed.timing.seconds > 1.8 * steady.timing.seconds);
  CHECK(disturbed.timing.p10 < steady.timing.p10);
  disturbed.timing.p10 = disturbed.timing.seconds;
  CHECK(best_way({disturbed, steady}) == 0);
  CHECK(best_way({disturbed, time_in_rounds({0.9, 0.9, 0.9})}) == 1);
}

TEST_CASE("lab tune: a plan that a second measurement does not confirm is not kept") {
  Context ctx;
  const Capture capture = made_up_capture();
  const auto calls = calls_to_tune(capture, parse_lab_names({"conv2d"}));
  // Of 5 ms each, chance lets one look like 1 ms.
  struct Found {
    Tuned tuned;
    std::vector<PlanEntry> entries;
    std::vector<size_t> measured;  // ways, in each measurement
  };
  const auto found_with = [&](double second) {
    Found found;
    const MeasureWays measure = [&](RepeatedCall&, const std::vector<CallPlan>& ways, bool) {
      std::vector<TimedWork> times;
      for (const CallPlan& way : ways)
        times.push_back(time_of(way.variant != "winograd_f2" ? 5 : found.measured.empty() ? 1 : second));
      found.measured.push_back(ways.size());
      return times;
    };
    found.tuned =
        tune(ctx, capture, calls, kHere, measure, [&](const PlanEntry& e) { found.entries.push_back(e); });
    REQUIRE(found.entries.size() == 1);
    REQUIRE(found.measured.size() == 2);
    CHECK(found.measured[0] >= 3);
    CHECK(found.measured[1] == 2);
    return found;
  };
  const Found chance = found_with(5), real = found_with(1.5);
  CHECK(chance.entries[0].plan.variant == chance.entries[0].call.preferred);
  CHECK(chance.tuned.changed == 0);
  CHECK(chance.tuned.unconfirmed == 1);
  CHECK(chance.tuned.after == chance.tuned.before);
  CHECK(real.entries[0].plan.variant == "winograd_f2");
  CHECK(real.tuned.unconfirmed == 0);
  CHECK(real.tuned.after == doctest::Approx(real.tuned.before * 1.5 / 5));  // by the second measurement
}

TEST_CASE("lab tune: ways are measured in turn, each warmed up anew in every round") {
  std::string order;
  const auto way = [&](char name) {
    return [&order, name] {
      order += name;
      return Sampler{[&order, name](std::vector<double>& seconds) {
        order += static_cast<char>(name + 32);
        seconds.push_back(1);
        return 1.0;
      }};
    };
  };
  const std::vector<TimedWork> times = time_samplers_in_turn({way('A'), way('B')}, {6, 0});
  CHECK(order == "AaaaBbbbAaaaBbbbAaaaBbbb");
  CHECK(times[0].timing.samples == 9);
  CHECK(times[1].timing.rounds == std::vector<double>{1, 1, 1});
}

TEST_CASE("lab tune: one plan for each shape, by made-up times") {
  Context ctx;
  const Capture capture = made_up_capture();
  std::vector<PlanEntry> entries;
  const auto keep = [&](const PlanEntry& entry) { entries.push_back(entry); };
  const auto calls = calls_to_tune(capture, {});
  REQUIRE(calls.size() == 5);
  CHECK(calls.front()->op == "conv2d_dw");  // 6 ms; then the convolution with 4
  CHECK(calls.back()->op == "matmul");

  Tuned tuned = tune(ctx, capture, calls, kHere, made_up_times({{"winograd_f2", time_of(1)}}), keep);
  CHECK(tuned.by_values == 1);
  CHECK(tuned.measured + tuned.one_way == 3);
  CHECK(tuned.changed == 2);
  CHECK(tuned.failed == 0);
  REQUIRE(entries.size() == tuned.measured);
  const PlanEntry& conv = entries.front();
  CHECK(conv.call.op == "conv2d");
  CHECK(conv.call.shape == "1x12x10x16, 32 filters of 3x3, stride 1, pad 1, dilation 1");
  CHECK(conv.place == kHere);
  CHECK(conv.precision == "f32");
  CHECK(conv.plan.variant == "winograd_f2");
  CHECK(conv.times.front().plan.variant == conv.call.preferred);
  CHECK(conv.times.size() >= 3);
  CHECK(entries[1].call.op == "conv2d_dx");
  // 3 calls of a step with 5 ms, 1 with 5 ms, and where there is a library 1 of a product; then 1 ms.
  const double product = tuned.measured == 3 ? 5 : 0;
  CHECK(tuned.before == doctest::Approx(20 + product));
  CHECK(tuned.after == doctest::Approx(4 + product));
  CHECK(ctx.kernels.empty());

  entries.clear();
  tuned =
      tune(ctx, capture, calls_to_tune(capture, parse_lab_names({"conv2d"})), kHere, made_up_times({}), keep);
  REQUIRE(entries.size() == 1);
  CHECK(tuned.changed == 0);
  CHECK(entries.front().plan.variant == entries.front().call.preferred);
  CHECK(!changes_bits(entries.front()));

  // A way that fails is left out; if it is what runs without a plan, nothing is kept.
  entries.clear();
  tuned = tune(ctx, capture, calls_to_tune(capture, parse_lab_names({"conv2d"})), kHere,
               made_up_times({{"winograd_f2", {{}, "it failed"}}}), keep);
  CHECK(tuned.failed == 1);
  REQUIRE(entries.size() == 1);
  for (const TimedPlan& timed : entries.front().times) CHECK(timed.plan.variant != "winograd_f2");
  const std::string first = entries.front().call.preferred;
  entries.clear();
  tuned = tune(ctx, capture, calls_to_tune(capture, parse_lab_names({"conv2d"})), kHere,
               made_up_times({{first, {{}, "it failed"}}}), keep);
  CHECK(entries.empty());
  CHECK(tuned.failed == 1);
}

TEST_CASE("lab tune: what it refuses") {
  const Capture capture = made_up_capture();
  const auto error = [&](const std::vector<LabName>& names) {
    return input_error([&] { calls_to_tune(capture, names); });
  };
  CHECK(error({{"nms", ""}}) ==
        "nms: it takes no plans; the ops that do: conv2d, conv2d_dw, conv2d_dx, matmul");
  CHECK(error({{"conv2d", "onednn"}}) ==
        "conv2d=onednn: plans are chosen among all variants of an op; expected conv2d");
  Capture without = capture;
  std::erase_if(without.ops, [](const CapturedOp& op) { return op.op == "matmul"; });
  CHECK(contains(input_error([&] { calls_to_tune(without, {{"matmul", ""}}); }), "no call of matmul"));
  Capture wrong = capture;
  wrong.ops[1].call["case"]["shape"]["k"] = "many";
  Context ctx;
  CHECK(contains(input_error([&] {
                   tune(ctx, wrong, {&wrong.ops[1]}, kHere, made_up_times({}), [](const PlanEntry&) {});
                 }),
                 "--shapes: conv2d.shape.k: expected a whole number"));
}

TEST_CASE("lab tune: each way runs when it is measured, and nothing is left behind") {
  struct Counter : OpObserver {
    std::map<std::string, int> ran;
    void op_begins(const OpCall&) override {}
    void op_ends(const OpCall& call) override { ++ran[call.variant]; }
  } counter;
  Context ctx;
  const Capture capture = made_up_capture();
  const auto call = op_calls().at("conv2d").repeat(capture.ops[1].call, {}, ctx.device);
  const std::vector<CallPlan> ways = call->ways(ctx);
  ctx.observer = &counter;
  const auto times = measure_ways(ctx, {0, 0})(*call, ways, false);
  REQUIRE(times.size() == ways.size());
  CHECK(counter.ran.size() == ways.size());
  for (size_t i = 0; i < ways.size(); ++i) {
    CAPTURE(ways[i].variant);
    CHECK(times[i].error.empty());
    CHECK(times[i].timing.seconds > 0);
    CHECK(counter.ran[ways[i].variant] >= 3);
  }
  CHECK(ctx.kernels.empty());
  // The reference is no way for a call that takes it a second.
  CHECK(std::ranges::any_of(ways, [](const CallPlan& way) { return way.variant == "reference"; }));
  CallJson large = capture.ops[1].call;
  large["case"]["shape"]["h"] = 120;
  for (const CallPlan& way : op_calls().at("conv2d").repeat(large, {}, ctx.device)->ways(ctx))
    CHECK(way.variant != "reference");
}
