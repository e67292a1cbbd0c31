// The file of plans, and which of them calls can run by.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>

#include "bench/lab_tune.h"
#include "bench/plan_use.h"
#include "kernels/gemm/plan_names.h"
#include "tests/data/fixtures.h"
#include "tests/program.h"
#include "train/checkpoint.h"

using namespace rcnn;
using namespace rcnn::fixtures;
using kernels::CallPlan;
using kernels::PlannedCall;

namespace {

const std::string kA = "1x12x10x16, 32 filters of 3x3, stride 1, pad 1, dilation 1",
                  kB = "2x12x10x16, 32 filters of 3x3, stride 1, pad 1, dilation 1";

PlanEntry entry_of(const PlanPlace& place, const std::string& shape, const CallPlan& plan,
                   const CallPlan& without = {"onednn"}) {
  PlanEntry entry{place, {"conv2d", shape, without.variant}, "f32", "2026-01-02T03:04:05Z", plan, {}};
  entry.times = {{without, 2, 1.5, 0.01}, {plan, 1, 0.75, 0.02}};
  return entry;
}

const PlanPlace kHere{"Made-up processor", 2, "abc"};

}  // namespace

TEST_CASE("plan file: what is written is read back, and other places keep theirs") {
  const TemporaryFolder folder;
  const auto file = folder / "plans.json";
  const PlanPlace more_threads{kHere.device, 4, kHere.version};
  const PlanEntry cut = entry_of({"A card", 0, "abc"}, kA, {"implicit_gemm_bf16", "128x64 in 2"},
                                 {"implicit_gemm_bf16", "64x64 in 2"});
  add_to_plan_file(file, {entry_of(kHere, kA, {"winograd_f2"}), cut});
  add_to_plan_file(file, {entry_of(more_threads, kA, {"panels"})});
  add_to_plan_file(file, {entry_of(kHere, kA, {"reference"}), entry_of(kHere, kB, {"onednn"})});
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
  add_to_plan_file(file, {entry_of(kHere, kA, {"winograd_f2"}, {"reference"}),
                          entry_of({"Another", 2, "abc"}, kA, {"panels"}, {"reference"}),
                          entry_of({kHere.device, 4, "abc"}, kA, {"panels"}, {"reference"}),
                          entry_of({kHere.device, 4, "abc"}, kB, {"panels"}, {"reference"}),
                          entry_of({kHere.device, 2, "abd"}, kA, {"panels"}, {"reference"})});
  const auto plans = load_plans(file, kHere);
  REQUIRE(plans->calls.size() == 1);
  CHECK(plans->calls.begin()->first == PlannedCall{"conv2d", kA, "reference"});
  CHECK(plans->calls.begin()->second == CallPlan{"winograd_f2"});
  CHECK(plans->note ==
        file.string() +
            ": 1 of 5 plans are used; ignored are 1 for another processor or card, 2 for another "
            "number of threads, 1 of another version of the program");
  CHECK(contains(load_plans(file, {"Another", 2, "abc"})->note, "1 of 5 plans are used; ignored"));
  const auto other = folder / "other.json";
  add_to_plan_file(other, {entry_of(kHere, kA, {"winograd_f2"}, {"reference"})});
  CHECK(load_plans(other, kHere)->note == other.string() + ": 1 of 1 plans are used");
}

TEST_CASE("plan file: only plans that can apply are counted, and each kind of the others has its reason") {
  const TemporaryFolder folder;
  const auto file = folder / "plans.json";
  const auto note_of = [&](const PlanEntry& entry) {
    std::filesystem::remove(file);
    add_to_plan_file(file, {entry, entry_of(kHere, kB, {"panels"}, {"reference"})});
    const auto plans = load_plans(file, kHere);
    CHECK(plans->calls.size() == 1);
    CHECK(plans->calls.begin()->first.shape == kB);
    const std::string begin = file.string() + ": 1 of 2 plans are used; ignored are 1 ";
    CAPTURE(plans->note);
    REQUIRE(plans->note.starts_with(begin));
    return plans->note.substr(begin.size());
  };
  const auto with = [](PlanEntry entry, const std::function<void(PlanEntry&)>& change) {
    change(entry);
    return entry;
  };
  const PlanEntry good = entry_of(kHere, kA, {"winograd_f2"}, {"reference"});
  CHECK(note_of(with(good, [](PlanEntry& e) { e.precision = "f99"; })) ==
        "of another precision than that of their variants (entry 0)");
  CHECK(note_of(with(good, [](PlanEntry& e) { e.precision = "bf16"; })) ==
        "of another precision than that of their variants (entry 0)");
  CHECK(note_of(entry_of(kHere, kA, {"winograd_f2", "64x64 in 2"}, {"reference"})) ==
        "with a cut that their variant does not have (entry 0)");
  const std::string pointwise = "1x12x10x16, 32 filters of 1x1, stride 1, pad 0, dilation 1";
  CHECK(note_of(entry_of(kHere, pointwise, {"winograd_f2"}, {"reference"})) ==
        "of variants that cannot run their shape (entry 0)");
  CHECK(note_of(entry_of(kHere, kA, {"winograd_f7"}, {"reference"})) ==
        "of variants that this program does not have (entry 0)");
  // A kernel for a GPU, where the entry says that threads compute.
  CHECK(note_of(entry_of(kHere, kA, {"implicit_gemm"}, {"reference"})) ==
        "of variants that this program does not have (entry 0)");
  CHECK(note_of(entry_of(kHere, "12 x 10", {"panels"}, {"reference"})) ==
        "for a shape that no call has (entry 0)");
  CHECK(note_of(with(good, [](PlanEntry& e) { e.call.op = "conv3d"; })) ==
        "for operations that this program does not have (entry 1)");
  CHECK(note_of(with(good, [](PlanEntry& e) { e.call.op = "matmul"; })) ==
        "of variants that this program does not have (entry 1)");
  PlanEntry pool = entry_of(kHere, "a", {"reference"}, {"reference"});
  pool.call.op = "average_pool";
  CHECK(note_of(pool) == "for operations that take no plans (entry 0)");
  // The gradients' variant for few rows looks at values: where it fits, it runs without a plan.
  PlanEntry rows = entry_of(kHere, kA, {"nonzero_rows"}, {"reference"});
  rows.call.op = "conv2d_dx";
  CHECK(note_of(rows) == "of variants that cannot run their shape (entry 1)");
}

TEST_CASE("plan file: of two entries for the same calls the later one counts, and both are named") {
  const TemporaryFolder folder;
  const auto file = folder / "plans.json";
  add_to_plan_file(file, {entry_of(kHere, kA, {"panels"}, {"reference"})});
  std::string text = content_of(file);
  const size_t begin = text.find("  {\"device\""), end = text.find("]}\n", begin);
  std::string twice = text.substr(begin, end - begin);
  twice.replace(twice.find("\"plan\":{\"variant\":\"panels\"}"), 27, "\"plan\":{\"variant\":\"reference\"}");
  text.insert(end, ",\n" + twice);
  write_text(file, text);
  const auto plans = load_plans(file, kHere);
  CHECK(plans->note ==
        file.string() +
            ": 1 of 2 plans are used; ignored are 1 for the same calls as a later one (entry 0 by entry 1)");
  REQUIRE(plans->calls.size() == 1);
  CHECK(plans->calls.begin()->second.variant == "reference");
  // Writing to the file removes the earlier one, and says so.
  const auto replaced = add_to_plan_file(file, {});
  REQUIRE(replaced.size() == 1);
  CHECK(replaced_text(replaced) == "entry 0 by entry 1");
  CHECK(read_plan_file(file).size() == 1);
  CHECK(load_plans(file, kHere)->note == file.string() + ": 1 of 1 plans are used");
  CHECK(add_to_plan_file(file, {}).empty());
  // A later one that cannot apply replaces nothing.
  const size_t last = text.rfind("\"precision\":\"f32\"");
  write_text(file, std::string(text).replace(last, 17, "\"precision\":\"f99\""));
  CHECK(load_plans(file, kHere)->calls.begin()->second.variant == "panels");
}

TEST_CASE("plan file: shapes are read back from the text that calls are known by") {
  using namespace kernels;
  Conv2dArgs<float> conv;
  REQUIRE(read_plan_shape(kA, conv));
  CHECK(conv.shape == Conv2dShape{1, 12, 10, 16, 32, 3, 3, 1, 1, 1});
  CHECK(plan_shape(conv) == kA);
  for (const char* text : {"", "1x12x10x16", "1x12x10x16, 32 filters of 3x3, stride 1, pad 1, dilation 1 ",
                           "1x12x10x16, 32 filters of 3x3, stride 0, pad 1, dilation 1",
                           "1x12x10x16, 32 filters of 3x3, stride 1, pad 1, dilation 7",  // 13 lines of 12
                           "1x12x10x16, 032 filters of 3x3, stride 1, pad 1, dilation 1",
                           "2000000000x2000000000x10x16, 32 filters of 3x3, stride 1, pad 1, dilation 1",
                           "1x12x10x99999999999999999999, 32 filters of 3x3, stride 1, pad 1, dilation 1"}) {
    CAPTURE(text);
    CHECK(!read_plan_shape(text, conv));
  }
  CHECK(conv.shape.n == 1);  // as it was
  MatmulArgs<float> product;
  REQUIRE(read_plan_shape("4x6 (transposed) times 6x5", product));
  CHECK(product.m == 4);
  CHECK(product.k == 6);
  CHECK(product.n == 5);
  CHECK(product.transpose_a);
  CHECK(!product.transpose_b);
  CHECK(read_plan_shape("4x6 times 6x5 (transposed)", product));
  CHECK(!product.transpose_a);
  CHECK(product.transpose_b);
  CHECK(!read_plan_shape("4x6 times 7x5", product));
}

TEST_CASE("plan file: what the fuzzer starts from is loaded or refused, whatever the place") {
  const std::filesystem::path corpus = "tests/fuzz/corpus/plans";
  REQUIRE(std::filesystem::is_directory(corpus));
  size_t used = 0;
  for (const auto& entry : std::filesystem::directory_iterator(corpus)) {
    CAPTURE(entry.path().string());
    try {
      for (const PlanEntry& plan : read_plan_file(entry.path()))
        used += load_plans(entry.path(), plan.place)->calls.size();
    } catch (const InputError& error) {
      CHECK(contains(error.what(), entry.path().string()));
    }
  }
  CHECK(used > 0);
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
  CHECK(!changes_bits(entry_of(kHere, kA, own, own)));
  CHECK(!changes_bits(entry_of(kHere, kA, tile, own)));
  CHECK(changes_bits(entry_of(kHere, kA, parts, own)));
  CHECK(changes_bits(entry_of(kHere, kA, {"panels"})));
  const CallPlan rule{"reference"};
  CHECK(digest({entry_of(kHere, kA, rule, rule)}).empty());
  const std::string one = digest({entry_of(kHere, kA, {"panels"}, rule)});
  CHECK(one.size() == 8);
  CHECK(digest({entry_of(kHere, kA, {"panels"}, rule), entry_of(kHere, kB, rule, rule)}) == one);
  CHECK(digest({entry_of(kHere, kB, {"panels"}, rule)}) != one);
  CHECK(digest({entry_of(kHere, kA, {"winograd_f2"}, rule)}) != one);
  CHECK(digest({entry_of({"Another", 2, "abc"}, kA, {"panels"}, rule)}).empty());

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
    CHECK(input_error([&] { add_to_plan_file(file, {entry_of(kHere, kA, {"panels"})}); }) == sentence);
    CHECK(content_of(file) == text);
    CHECK(contains(sentence, file.string() + ": "));
    return sentence;
  };
  add_to_plan_file(file, {entry_of(kHere, kA, {"panels"})});
  const std::string good = content_of(file);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    REQUIRE(text.find(from) != std::string::npos);
    return text.replace(text.find(from), from.size(), to);
  };
  CHECK(contains(error(good.substr(0, good.size() / 2)), "this is not JSON: parse error at line 4, column"));
  CHECK(contains(error("{\"plans\": -7e5554}"), "this is not JSON: number overflow parsing '-7e5554'"));
  CHECK(contains(error("{\n\n x"), "parse error at line 3, column 2"));
  CHECK(contains(error("{}"), "this is no file of plans, as `rcnn lab tune` writes it"));
  CHECK(contains(error("{\"plans\": 1}"), "there is no list \"calls\""));
  CHECK(!has_other_version(file));
  CHECK(contains(error(with("\"plans\": 1", "\"plans\": 2")),
                 "its form has the version 2 (\"plans\"); this program reads version 1, and `rcnn lab tune "
                 "--force` begins such a file anew"));
  CHECK(has_other_version(file));
  CHECK(!has_other_version(folder / "missing.json"));
  CHECK(contains(error(with("\"threads\":2", "\"threads\":4294967298")),
                 "entry 0 of \"calls\": expected \"threads\" from 0 to 1048576, found 4294967298"));
  CHECK(contains(error(with("\"threads\":2", "\"threads\":-1")), "expected \"threads\" from 0"));
  CHECK(contains(error(with("\"threads\":2", "\"threads\":18446744073709551615")), "expected \"threads\""));
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
