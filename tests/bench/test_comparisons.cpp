// The commands that time, and the scripts that compare this program with others. The tests of the scripts are
// in Python.
#include <fmt/format.h>

#include "tests/program.h"

using namespace rcnn::fixtures;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("bench model: --what chooses what is timed") {
  const std::filesystem::path program = find_program();
  if (program.empty()) return;
  std::vector<std::string> words = {"bench",     "model",     "--json",      "--height=32", "--width=32",
                                    "--batch=1", "--steps=2", "--warm-up=0", "--device=cpu"};
  const auto printed = [&](const std::string& what) {
    std::vector<std::string> all = words;
    if (!what.empty()) all.push_back("--what=" + what);
    const Finished finished = run_program(program, all);
    CHECK_MESSAGE(finished.status == 0, finished.err);
    CHECK(has(finished.out, "{\"what\": \"versions\", \"rcnn\": \"rcnn "));
    std::string found;
    for (const char* name : {"train_step", "detect", "dense"})
      if (has(finished.out, fmt::format("{{\"what\": \"{}\", ", name))) found += std::string(name) + " ";
    return found;
  };
  CHECK(printed("") == "train_step detect ");
  CHECK(printed("dense") == "dense ");
  CHECK(printed("dense,train_step") == "train_step dense ");
}

TEST_CASE("bench ops: --variant chooses what is timed, and names must exist") {
  const std::filesystem::path program = find_program();
  if (program.empty()) return;
  const auto run = [&](const std::string& variant) {
    return run_program(program,
                       {"bench", "ops", "--device=cpu", "--op=softmax", "--seconds=0", "--variant", variant});
  };
  CHECK(has(run("reference").out, "  reference "));
  const Finished refused = run("winograd_f4");
  CHECK(refused.status == 2);
  CHECK(refused.err == "rcnn: --variant winograd_f4: no op that is to be timed has a variant of that name\n");
}

TEST_CASE("bench ops: --op, --case and --chosen choose what is timed") {
  const std::filesystem::path program = find_program();
  if (program.empty()) return;
  const auto timed = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"bench", "ops", "--device=cpu", "--seconds=0"});
    const Finished finished = run_program(program, words);
    CHECK_MESSAGE(finished.status == 0, finished.err);
    return finished.out;
  };
  const std::string both = timed({"--op=logit_difference,softmax_cross_entropy", "--case=0"});
  CHECK(has(both, "\nsoftmax_cross_entropy "));
  CHECK(has(both, "\nlogit_difference_backward "));
  CHECK(!has(both, "\nsoftmax "));
  CHECK(has(timed({"--op=softmax", "--case=0"}), "softmax (800, 7)"));
  CHECK(!has(timed({"--op=softmax", "--case=1"}), "softmax (800, 7)"));
  // The variant that a model uses on the CPU is not the reference.
  const std::string all = timed({"--op=top_k", "--case=2"}),
                    chosen = timed({"--op=top_k", "--case=2", "--chosen=f32,bf16"});
  CHECK(has(all, "  reference "));
  CHECK(has(all, "  histogram_select "));
  CHECK(!has(chosen, "  reference "));
  CHECK(has(chosen, "  histogram_select "));
}

TEST_CASE("bench: the scripts that time programs in turn") {
  if (run_program("/usr/bin/env", {"python3", "--version"}).status != 0) {
    MESSAGE("skipped: there is no python3");
    return;
  }
  const Finished finished = run_program("/usr/bin/env", {"python3", "-B", "tests/bench/test_comparisons.py"});
  CHECK_MESSAGE(finished.status == 0, finished.err);
}
