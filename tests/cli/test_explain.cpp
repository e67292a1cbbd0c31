// `rcnn explain`: what it writes, and what it refuses.
#include <nlohmann/json.hpp>

#include "tests/program.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

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
