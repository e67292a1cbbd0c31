// Command lines that the program does not understand, or that ask what there is.
#include "tests/program.h"

using namespace rcnn;
using namespace rcnn::fixtures;

TEST_CASE("usage: the program says what was probably meant") {
  const auto program = find_program();
  if (program.empty()) return;
  const auto error = [&](const std::vector<std::string>& words) {
    const Finished result = run_program(program, words);
    CHECK(result.status == 2);
    CHECK(result.out.empty());
    return result.err;
  };
  CHECK(error({"trian", "--data", "x"}) ==
        "rcnn: 'trian' is not a command; did you mean train?; `rcnn --help` explains the usage\n");
  CHECK(error({"detect", "--weigths", "x", "y.jpg"}) ==
        "rcnn: '--weigths' is not an option; did you mean --weights?; `rcnn detect --help` explains the "
        "usage\n");
  CHECK(contains(error({"predict", "x"}), "did you mean detect?"));
  CHECK(contains(error({"train", "--batch_size", "4"}),
                 "'--batch_size' is not an option; did you mean --batch?"));
  CHECK(contains(error({"train", "--learning-rate=4"}), "did you mean --lr?"));
  CHECK(contains(error({"bench", "modle"}),
                 "'modle' is not a command; did you mean model?; `rcnn bench --help`"));
  CHECK(contains(error({"help", "trian"}), "'trian' is not a command; did you mean train?"));
  for (const auto& [word, meant] : {std::pair{"--epcohs", "epochs"},
                                    {"--epoch", "epochs"},
                                    {"--Short_Side=3", "short-side"},
                                    {"--num-workers", "workers"},
                                    {"--output", "out"}}) {
    CAPTURE(word);
    CHECK(contains(error({"train", word}), "did you mean --" + std::string(meant) + "?"));
  }
  for (const char* word : {"--x", "--xyzzy", "--xyzzy=3"})
    CHECK_FALSE(contains(error({"train", word}), "did you mean"));
  CHECK_FALSE(contains(error({"synth", "--out", "x", "--count", "-3"}), "is not an option"));
}

TEST_CASE("usage: rcnn, rcnn help and rcnn bench alone list what there is") {
  const auto program = find_program();
  if (program.empty()) return;
  const auto list = [&](const std::vector<std::string>& words) {
    const Finished result = run_program(program, words);
    CHECK(result.status == 0);
    CHECK(result.err.empty());
    return result.out;
  };
  const std::string all = list({"--help"});
  CHECK(contains(all, "A first run on generated images"));
  CHECK(list({}) == all);
  CHECK(list({"help"}) == all);
  CHECK(contains(list({"bench"}), "ops"));
  CHECK(list({"bench"}) == list({"bench", "--help"}));
  CHECK(list({"help", "bench", "ops"}) == list({"bench", "ops", "--help"}));
  for (const char* command : {"train", "eval", "compare", "detect", "explain", "propose", "check", "data",
                              "summary", "synth", "export", "bench", "profile", "lab"})
    CHECK_FALSE(contains(list({command, "--help"}), "A first run"));
}

TEST_CASE("usage: an error comes without a line about the device before it") {
  const auto program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  const std::string none = (folder / "none").string();
  for (const std::vector<std::string>& words : {std::vector<std::string>{"detect", "--weights", none, none},
                                                {"eval", "--weights", none, "--data", none},
                                                {"propose", "--weights", none, "--data", none, "--out", none},
                                                {"train", "--data", none, "--out", none},
                                                {"bench", "model", "--model", "none"},
                                                {"bench", "ops", "--variant", "none"}}) {
    CAPTURE(words.front());
    const Finished result = run_program(program, words);
    CHECK(result.status == 2);
    CHECK(result.out.empty());
  }
}
