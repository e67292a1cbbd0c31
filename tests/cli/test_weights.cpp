// Where a model comes from: a checkpoint, an exported file, or torchvision's without metadata.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "data/voc.h"
#include "models/detector.h"
#include "models/weights.h"
#include "tests/models/models.h"
#include "tests/program.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

struct Trial : ProgramTrial {
  std::string out_of(const Words& words) const {
    const Finished result = run(words);
    CAPTURE(result.err);
    CHECK(result.status == 0);
    return result.out;
  }
};

/// A small detector whose scores are spread over 0 to 1.
Detector spread_detector(ModelConfig config, const std::vector<std::string>& classes) {
  Detector detector{std::make_unique<FasterRcnn>(config, std::ssize(classes), Init(3)), classes};
  for_each_parameter(*detector.model, [](const std::string& name, Var& value) {
    if (!name.ends_with("cls_score.weight")) return;
    for (float& number : value.value().mutable_values<float>()) number *= 60;
  });
  return detector;
}

}  // namespace

TEST_CASE("weights: an exported model detects and evaluates like the one that was trained") {
  const Trial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 2, "test");
  ModelConfig config = tiny_model();
  config.norm = "folded";
  Detector detector = spread_detector(config, {"disc", "square", "triangle"});
  save_model(trial.folder / "ours", detector);
  trial.out_of({"export", "--weights", trial.path("ours"), "--out", trial.path("exported.safetensors")});
  const auto detections = [&](const std::string& weights) {
    trial.out_of({"detect", "--weights", trial.path(weights), "--out", trial.path("found"), "--pictures",
                  "none", trial.path("data/JPEGImages")});
    return content_of(trial.folder / "found/detections.json");
  };
  const std::string ours = detections("ours");
  CHECK(ours.size() > 200);
  CHECK(detections("exported.safetensors") == ours);
}

TEST_CASE("weights: detect draws what reaches the threshold that the model's file recommends for its class") {
  const Trial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 3, "test");
  Detector detector = spread_detector(tiny_model(), {"disc", "square", "triangle"});
  const auto lines = [&](const std::vector<float>& confidence, Words more = {}) {
    detector.confidence = confidence;
    save_model(trial.folder / "model", detector);
    more.insert(more.begin(), {"detect", "--weights", trial.path("model"), "--out", trial.path("found"),
                               "--pictures", "none", trial.path("data/JPEGImages")});
    const std::string out = trial.out_of(more);
    int64_t drawn = 0;
    for (size_t at = 0; (at = out.find(".png: ", at)) != std::string::npos; ++at)
      drawn += std::stoll(out.substr(at + 6));
    return drawn;
  };
  const auto expected = [&](const std::vector<double>& thresholds) {
    int64_t count = 0;
    for (const auto& entry : nlohmann::json::parse(content_of(trial.folder / "found/detections.json")))
      count += entry["score"].get<double>() >= thresholds[entry["category_id"].get<size_t>() - 1];
    return count;
  };
  const int64_t all = lines({0, 0, 0});
  CHECK(all == expected({0, 0, 0}));
  CHECK(all > 0);
  CHECK(lines({}) == expected({.5, .5, .5}));
  CHECK(lines({}) < all);
  CHECK(lines({1, 0, 0}) == expected({1, 0, 0}));
  CHECK(lines({0, std::nanf(""), 1}) == expected({0, .5, 1}));
  CHECK(lines({1, 1, 1}, {"--score", "0"}) == all);
  const Metadata metadata = read_safetensors(trial.folder / "model").metadata;
  CHECK(metadata.at("confidence") == "[1.0,1.0,1.0]");
  detector.confidence = {0.3F, std::nanf(""), 0.12345F};
  CHECK(detector_metadata(detector).at("confidence") == "[0.3,null,0.1235]");
}

TEST_CASE("weights: a wrong list of confidence thresholds is refused") {
  const TemporaryFolder folder;
  Detector detector = spread_detector(tiny_model(), {"a", "b"});
  for (const char* text : {"", "[0.5]", "[0.5, 0.5, 0.5]", "[0.5, \"x\"]", "[0.5, 1.5]", "[-1, 0.5]", "{}"}) {
    Metadata metadata = detector_metadata(detector);
    metadata["confidence"] = text;
    write_safetensors(folder / "model", save_weights(*detector.model), metadata);
    CHECK(contains(input_error([&] { load_model(folder / "model"); }),
                   "'confidence' is not a list of 2 numbers from 0 to 1 or null"));
  }
}

TEST_CASE("weights: torchvision's file without metadata detects, and evaluates by COCO's category ids") {
  const Trial trial;
  if (!trial) return;
  ModelConfig config = model_config("resnet18-fpn");
  config.box_head_size = 16;
  config.box_pool_size = 2;
  Detector detector = spread_detector(config, std::vector<std::string>(90, "x"));
  write_safetensors(trial.folder / "tv.safetensors", save_weights(*detector.model), {});
  write_png(trial.folder / "a.png", random_image(64, 48));
  const std::string out = trial.out_of({"detect", "--weights", trial.path("tv.safetensors"), "--out",
                                        trial.path("found"), trial.path("a.png")});
  CHECK(contains(out, "resnet18-fpn with torchvision's settings"));
  CHECK(contains(out, "COCO's classes"));
  const auto found = nlohmann::json::parse(content_of(trial.folder / "found/detections.json"));
  REQUIRE(!found.empty());
  const std::map<std::string, int> ids = {{"person", 1}, {"stop sign", 13}, {"cat", 17}, {"toothbrush", 90}};
  for (const auto& entry : found)
    if (const auto id = ids.find(entry["category_name"].get<std::string>()); id != ids.end())
      CHECK(entry["category_id"] == id->second);

  // Ground truth that is the detections themselves: every class has an average precision of 1.
  nlohmann::json truth = {{"images", {{{"id", 5}, {"file_name", "a.png"}, {"width", 64}, {"height", 48}}}},
                          {"categories", nlohmann::json::array()},
                          {"annotations", nlohmann::json::array()}};
  std::map<int, std::string> names;
  for (const auto& entry : found) {
    names[entry["category_id"].get<int>()] = entry["category_name"].get<std::string>();
    truth["annotations"].push_back(
        {{"image_id", 5}, {"category_id", entry["category_id"]}, {"bbox", entry["bbox"]}});
  }
  for (const auto& [id, name] : names) truth["categories"].push_back({{"id", id}, {"name", name}});
  write_text(trial.folder / "truth.json", truth.dump());
  trial.out_of({"eval", "--weights", trial.path("tv.safetensors"), "--data", trial.path("truth.json"),
                "--json", trial.path("figures.json"), "--out", trial.path("again.json")});
  const auto figures = nlohmann::json::parse(content_of(trial.folder / "figures.json"));
  CHECK(figures["AP50"].get<double>() > 0.99);
  const auto again = nlohmann::json::parse(content_of(trial.folder / "again.json"));
  REQUIRE(again.size() == found.size());
  for (size_t i = 0; i < found.size(); ++i) CHECK(again[i]["category_id"] == found[i]["category_id"]);
}

TEST_CASE("weights: of many classes a sentence lists a dozen") {
  const Trial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 2, "test");
  std::vector<std::string> classes;
  for (int i = 0; i < 90; ++i) classes.push_back(fmt::format("class{}", i));
  Detector detector = spread_detector(tiny_model(), classes);
  save_model(trial.folder / "model", detector);
  const Words eval = {"eval", "--weights", trial.path("model"), "--data", trial.path("data")};
  const std::string refusal = trial.run(eval).err;
  CHECK(contains(refusal, "class11 and 78 more) are none of those of"));
  CHECK_FALSE(contains(refusal, "class12"));
  // The objects of classes that a model does not know are faults, each with such a list.
  const Dataset scenes = read_voc(trial.folder / "data", "test");
  REQUIRE(scenes.classes.size() > 1);
  detector.classes[50] = scenes.classes[0];
  save_model(trial.folder / "model", detector);
  const std::string out = trial.out_of(eval);
  CHECK(contains(out, "has an object of the unknown class '" + scenes.classes[1] + "'"));
  CHECK(contains(out, "class11 and 78 more)"));
  CHECK_FALSE(contains(out, "class12,"));
}

TEST_CASE("weights: a model that knows none of the data's classes is not evaluated") {
  const Trial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 2, "test");
  Detector detector = spread_detector(tiny_model(), {"cat", "dog"});
  save_model(trial.folder / "model", detector);
  const Words eval = {"eval", "--weights", trial.path("model"), "--data", trial.path("data")};
  const Finished result = trial.run(eval);
  CHECK(result.status == 2);
  CHECK(contains(result.err, "the model's classes (cat, dog) are none of those of"));
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  CHECK_FALSE(contains(result.out, "unknown class"));
  // Proposals have no class, so an RPN proposes on these images all the same and counts all their objects.
  const std::string proposed =
      trial.out_of({"propose", "--weights", trial.path("model"), "--data", trial.path("data"), "--split",
                    "test", "--out", trial.path("proposals.json")});
  CHECK_FALSE(contains(proposed, "fault"));
  CHECK(contains(proposed, "; recall "));
  // One name in common is enough, and --classes can provide it.
  const std::string known = read_voc(trial.folder / "data", "test").classes[0];
  write_text(trial.folder / "names.txt", "cat\n" + known + "\n");
  Words named = eval;
  named.insert(named.end(), {"--classes", trial.path("names.txt")});
  trial.out_of(named);
  // The model with the thresholds that these images recommend: none, for classes that find nothing right.
  named.insert(named.end(), {"--model-out", trial.path("again")});
  trial.out_of(named);
  const Detector again = load_model(trial.folder / "again");
  CHECK(again.classes == std::vector<std::string>{"cat", known});
  REQUIRE(again.confidence.size() == 2);
  CHECK(std::isnan(again.confidence[0]));
  write_text(trial.folder / "found.json", "[]");
  CHECK(contains(trial
                     .run({"eval", "--detections", trial.path("found.json"), "--data", trial.path("data"),
                           "--model-out", trial.path("x")})
                     .err,
                 "--model-out writes a model"));
  write_text(trial.folder / "names.txt", "cat\n");
  CHECK(contains(trial.run(named).err, "has 1 names; the model has 2 classes"));
}
