// Plans as `rcnn lab tune` finds and keeps them. What `run` makes of them is tested in
// tests/kernels/gemm/test_plans.cpp.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>

#include "bench/lab_tune.h"
#include "core/parallel.h"
#include "tests/data/fixtures.h"
#include "tests/program.h"
#include "train/checkpoint.h"

using namespace rcnn;
using namespace rcnn::fixtures;
using kernels::CallPlan;

namespace {

TimedWork time_of(double ms, double noise = 0.01, double p10 = 0) {
  return {{.seconds = ms * 1e-3, .p10 = (p10 > 0 ? p10 : 0.9 * ms) * 1e-3, .noise = noise, .samples = 9}, ""};
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

PlanEntry entry_of(const PlanPlace& place, const std::string& shape, const CallPlan& plan,
                   const CallPlan& without = {"onednn"}) {
  PlanEntry entry{place, {"conv2d", shape, without.variant}, "f32", "2026-01-02T03:04:05Z", plan, {}};
  entry.times = {{without, 2, 1.5, 0.01}, {plan, 1, 0.75, 0.02}};
  return entry;
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

TEST_CASE("plan file: what is written is read back, and other places keep theirs") {
  const TemporaryFolder folder;
  const auto file = folder / "plans.json";
  const PlanPlace more_threads{kHere.device, 4, kHere.version};
  const PlanEntry cut = entry_of({"A card", 0, "abc"}, "c", {"implicit_gemm_bf16", "128x64 in 2"},
                                 {"implicit_gemm_bf16", "64x64 in 2"});
  add_to_plan_file(file, {entry_of(kHere, "a", {"winograd_f2"}), cut});
  add_to_plan_file(file, {entry_of(more_threads, "a", {"panels"})});
  add_to_plan_file(file, {entry_of(kHere, "a", {"reference"}), entry_of(kHere, "b", {"onednn"})});
  const auto found = read_plan_file(file);
  REQUIRE(found.size() == 4);
  CHECK(found[0].place == cut.place);
  CHECK(found[0].call == cut.call);
  CHECK(found[0].plan == cut.plan);
  CHECK(found[0].precision == "f32");
  CHECK(found[0].date == cut.date);
  REQUIRE(found[0].times.size() == 2);
  CHECK(found[0].times[1].plan == cut.plan);
  CHECK(found[0].times[1].ms == 1);
  CHECK(found[0].times[1].p10_ms == 0.75);
  CHECK(found[0].times[1].noise == 0.02);
  CHECK(found[1].plan.variant == "reference");
  CHECK(found[3].plan.variant == "panels");
  const std::string text = content_of(file);
  add_to_plan_file(file, {});
  CHECK(content_of(file) == text);
  CHECK(contains(text.substr(0, 100), "written by rcnn.cu"));
}

TEST_CASE("plan file: plans of other places and of variants that are gone are ignored, and counted") {
  const TemporaryFolder folder;
  const auto file = folder / "plans.json";
  add_to_plan_file(file, {entry_of(kHere, "a", {"winograd_f2"}), entry_of(kHere, "b", {"winograd_f7"}),
                          entry_of(kHere, "c", {"onednn", "64x64 in 700"}),
                          entry_of({"Another", 2, "abc"}, "a", {"panels"}),
                          entry_of({kHere.device, 4, "abc"}, "a", {"panels"}),
                          entry_of({kHere.device, 4, "abc"}, "b", {"panels"}),
                          entry_of({kHere.device, 2, "abd"}, "a", {"panels"})});
  const auto plans = load_plans(file, kHere);
  REQUIRE(plans->calls.size() == 1);
  CHECK(plans->calls.begin()->first == kernels::PlannedCall{"conv2d", "a", "onednn"});
  CHECK(plans->calls.begin()->second == CallPlan{"winograd_f2"});
  CHECK(plans->note ==
        file.string() +
            ": 1 of 7 plans are used; ignored are 1 for another processor or card, 2 for another "
            "number of threads, 1 of another version of the program, 2 of variants that this "
            "program does not have");
  CHECK(load_plans(file, {"Another", 2, "abc"})->note.find("1 of 7 plans are used; ignored") !=
        std::string::npos);
  const auto other = folder / "other.json";
  add_to_plan_file(other, {entry_of(kHere, "a", {"winograd_f2"})});
  CHECK(load_plans(other, kHere)->note == other.string() + ": 1 of 1 plans are used");
}

TEST_CASE("plan file: a digest names the plans that can change bits, and no others") {
  const TemporaryFolder folder;
  const auto digest = [&](const std::vector<PlanEntry>& entries) {
    const auto file = folder / "plans.json";
    std::filesystem::remove(file);
    add_to_plan_file(file, entries);
    return load_plans(file, kHere)->digest;
  };
  const CallPlan own{"implicit_gemm_bf16", "128x128 in 2"}, tile{"implicit_gemm_bf16", "64x64 in 2"},
      parts{"implicit_gemm_bf16", "64x64 in 3"};
  CHECK(!changes_bits(entry_of(kHere, "a", own, own)));
  CHECK(!changes_bits(entry_of(kHere, "a", tile, own)));
  CHECK(changes_bits(entry_of(kHere, "a", parts, own)));
  CHECK(changes_bits(entry_of(kHere, "a", {"panels"})));
  CHECK(digest({entry_of(kHere, "a", {"onednn"})}).empty());
  const std::string one = digest({entry_of(kHere, "a", {"panels"})});
  CHECK(one.size() == 8);
  CHECK(digest({entry_of(kHere, "a", {"panels"}), entry_of(kHere, "b", {"onednn"})}) == one);
  CHECK(digest({entry_of(kHere, "b", {"panels"})}) != one);
  CHECK(digest({entry_of(kHere, "a", {"reference"})}) != one);
  CHECK(digest({entry_of({"Another", 2, "abc"}, "a", {"panels"})}).empty());

  kernels::Plans plans;
  CHECK(numerics_description(&plans) == numerics_description());
  plans.digest = one;
  CHECK(numerics_description(&plans) == numerics_description() + ", plans " + one);
}

TEST_CASE("plan file: damaged files are refused with the line or the entry, and left as they are") {
  const TemporaryFolder folder;
  const auto file = folder / "plans.json";
  const auto error = [&](const std::string& text) {
    write_text(file, text);
    const std::string sentence = input_error([&] { read_plan_file(file); });
    CHECK(input_error([&] { add_to_plan_file(file, {entry_of(kHere, "a", {"panels"})}); }) == sentence);
    CHECK(content_of(file) == text);
    CHECK(contains(sentence, file.string() + ": "));
    return sentence;
  };
  add_to_plan_file(file, {entry_of(kHere, "a", {"panels"})});
  const std::string good = content_of(file);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    REQUIRE(text.find(from) != std::string::npos);
    return text.replace(text.find(from), from.size(), to);
  };
  CHECK(contains(error(good.substr(0, good.size() / 2)), "this is not JSON: parse error at line 4, column"));
  CHECK(contains(error("{\n\n x"), "parse error at line 3, column 2"));
  CHECK(contains(error("{}"), "this is no file of plans, as `rcnn lab tune` writes it"));
  CHECK(contains(error(with("\"plans\": 1", "\"plans\": 2")), "this is no file of plans"));
  CHECK(contains(error(with("\"threads\":2", "\"threads\":2.5")),
                 "entry 0 of \"calls\": there is no number \"threads\""));
  CHECK(contains(error(with("\"op\":", "\"no\":")), "entry 0 of \"calls\": there is no text \"op\""));
  CHECK(contains(error(with("\"ms\":1.0", "\"ms\":-1.0")), "expected \"ms\" from 0 to 1000000000, found -1"));
  CHECK(contains(error(with("\"plan\":{\"variant\":\"panels\"}", "\"plan\":{\"variant\":\"onednn_\"}")),
                 "lacks the \"plan\""));
  CHECK(contains(error(with("\"plan\":{\"variant\":\"panels\"}", "\"plan\":7")),
                 "there is no text \"variant\""));
  CHECK(contains(error(with("\"preferred\":\"onednn\"", "\"preferred\":\"panels\"")), "does not begin with"));
  CHECK(contains(error(with("\"times\":[", "\"times\":[],\"x\":[")), "lacks the \"plan\""));
  std::filesystem::remove(file);
  CHECK(contains(input_error([&] { read_plan_file(file); }), file.string()));
}

TEST_CASE("plan file: its place is the cache folder of the user") {
  Environment environment;
  environment.set("HOME", "/of/a/user");
  environment.remove("XDG_CACHE_HOME");
  CHECK(default_plan_file() == "/of/a/user/.cache/rcnn/plans.json");
  environment.set("XDG_CACHE_HOME", "relative");  // which the specification says to ignore
  CHECK(default_plan_file() == "/of/a/user/.cache/rcnn/plans.json");
  environment.set("XDG_CACHE_HOME", "/caches");
  CHECK(default_plan_file() == "/caches/rcnn/plans.json");
  environment.remove("XDG_CACHE_HOME");
  environment.remove("HOME");
  CHECK(contains(input_error([] { default_plan_file(); }), "--plans is missing"));
}
