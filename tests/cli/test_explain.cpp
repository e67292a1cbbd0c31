// `rcnn explain`: what it writes, and what it refuses.
#include <nlohmann/json.hpp>

#include "models/detector.h"
#include "tests/program.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

/// A model of random weights and one labelled photograph to explain.
struct Untrained : ProgramTrial {
  std::string photo = path("data/JPEGImages/train_00000.png"), out = path("out");

  Untrained() {
    Detector detector{std::make_unique<FasterRcnn>(tiny_model(), 6, Init(3)), scene_classes()};
    save_model(path("model.safetensors"), detector);
    write_tiny_scenes(folder / "data", 1);
  }
};

}  // namespace

TEST_CASE("explain: writes a page, its pictures and its numbers, with the objects of the data") {
  const ProgramTrial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 2);
  std::vector<std::string> train = {"train", "--data", trial.path("data"), "--out", trial.path("run")};
  for (const auto& [key, text] : tiny_settings())
    train.insert(train.end(), {"--" + key, key == "steps" ? "1" : text});
  REQUIRE(trial.run(train).status == 0);
  const std::string photo = trial.path("data/JPEGImages/train_00001.png"), out = trial.path("out");
  const std::vector<std::string> command = {"explain", "--weights", trial.path("run/best.safetensors"),
                                            photo,     "--out",     out};
  const auto with = [&](std::vector<std::string> words, const std::vector<std::string>& more) {
    words.insert(words.end(), more.begin(), more.end());
    return trial.run(words);
  };
  const Finished plain = with(command, {});
  CHECK(plain.err.empty());
  REQUIRE(plain.status == 0);
  CHECK(fs::exists(out + "/index.html"));
  CHECK(fs::exists(out + "/01_input_1.png"));
  CHECK_FALSE(nlohmann::json::parse(content_of(out + "/trace.json")).contains("objects"));

  const Finished labelled = with(command, {"--data", trial.path("data")});
  CHECK(labelled.err.empty());
  REQUIRE(labelled.status == 0);
  CHECK(nlohmann::json::parse(content_of(out + "/trace.json"))["objects"].size() > 0);

  fs::copy_file(photo, trial.path("elsewhere.png"));
  const Finished other = trial.run({"explain", "--weights", trial.path("run/best.safetensors"),
                                    trial.path("elsewhere.png"), "--data", trial.path("data")});
  CHECK(other.status == 2);
  CHECK(contains(other.err, "elsewhere.png: --data"));
  CHECK(contains(other.err, "does not contain this file; expected one of its 2 images"));

  CHECK(trial.run({"explain", "--weights", trial.path("run/best.safetensors"), trial.path("none.jpg")}).err ==
        "rcnn: " + trial.path("none.jpg") + ": no such file\n");
  std::ofstream(out + "/index.html") << "mine";
  const Finished refused = with(command, {});
  CHECK(refused.status == 2);
  CHECK(content_of(out + "/index.html") == "mine");
}

TEST_CASE("explain: pictures of an earlier page do not stay beside a new one, and other files do") {
  const Untrained trial;
  if (!trial) return;
  const std::string &out = trial.out, &photo = trial.photo;
  const std::vector<std::string> plain = {"explain", "--weights", trial.path("model.safetensors"),
                                          "--out",   out,         photo};
  std::vector<std::string> labelled = plain;
  labelled.insert(labelled.end(), {"--data", trial.path("data"), "--set", "score=.1"});
  REQUIRE(trial.run(labelled).status == 0);
  CHECK(fs::exists(out + "/11_matching_1.png"));
  CHECK(fs::exists(out + "/13_what-if_1.png"));
  fs::copy_file(out + "/11_matching_1.png", out + "/mine.png");
  std::ofstream(out + "/11_matching_7.png") << "a picture that another program wrote";
  fs::create_symlink("11_matching_1.png", out + "/11_matching_8.png");
  const Finished second = trial.run(plain);
  REQUIRE(second.status == 0);
  CHECK(contains(second.out, "pictures of an earlier page"));
  CHECK_FALSE(fs::exists(out + "/11_matching_1.png"));
  CHECK_FALSE(fs::exists(out + "/13_what-if_1.png"));
  CHECK(fs::exists(out + "/mine.png"));
  CHECK(fs::exists(out + "/11_matching_7.png"));
  CHECK(fs::is_symlink(out + "/11_matching_8.png"));
  CHECK(fs::exists(out + "/01_input_1.png"));
  CHECK_FALSE(contains(trial.run(plain).out, "earlier page"));
}

TEST_CASE("explain: an input that would take all memory is refused with a sentence") {
  const Untrained trial;
  if (!trial) return;
  const std::string &out = trial.out, &photo = trial.photo;
  for (const auto& [option, value] :
       {std::pair{"--short-side", "8192"}, {"--short-side", "2900"}, {"--set", "short-side=8192"}}) {
    CAPTURE(value);
    const Finished refused = trial.run(
        {"explain", "--weights", trial.path("model.safetensors"), "--out", out, option, value, photo});
    CHECK(refused.status == 2);
    CHECK(contains(refused.err, std::string(option)));
    CHECK(contains(refused.err, "expected a short side with which it has at most 8 million pixels"));
    CHECK_FALSE(fs::exists(out));
  }
}

TEST_CASE("a model of which only the RPN was trained says so") {
  const ProgramTrial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 2);
  std::vector<std::string> train = {"train",  "--data", trial.path("data"), "--out", trial.path("run"),
                                    "--mode", "rpn"};
  for (const auto& [key, text] : tiny_settings())
    train.insert(train.end(), {"--" + key, key == "steps" ? "1" : text});
  REQUIRE(trial.run(train).status == 0);
  const std::string weights = trial.path("run/best.safetensors"),
                    photo = trial.path("data/JPEGImages/train_00000.png");
  const std::string sentence = "its head was never trained: its detections mean nothing";
  CHECK(contains(trial.run({"explain", "--weights", weights, "--out", trial.path("page"), photo}).out,
                 sentence));
  CHECK(contains(trial.run({"detect", "--weights", weights, "--out", trial.path("found"), photo}).out,
                 sentence));
  CHECK(contains(trial
                     .run({"eval", "--weights", weights, "--data", trial.path("data"), "--split", "train",
                           "--model-out", trial.path("again.safetensors")})
                     .out,
                 sentence));
  CHECK(load_model(trial.path("again.safetensors")).head_untrained);
  CHECK_FALSE(contains(trial
                           .run({"propose", "--weights", weights, "--data", trial.path("data"), "--out",
                                 trial.path("proposals.json")})
                           .out,
                       sentence));
  // Weights of it that a joint training starts from are trained as a whole.
  train = {"train", "--data", trial.path("data"), "--out", trial.path("joint"), "--weights", weights};
  for (const auto& [key, text] : tiny_settings())
    train.insert(train.end(), {"--" + key, key == "steps" ? "1" : text});
  REQUIRE(trial.run(train).status == 0);
  CHECK_FALSE(load_model(trial.path("joint/best.safetensors")).head_untrained);
}
