// `explain --set`: the second run is that of a model with these settings, the first is left as it was, and
// what is lost and gained is counted and has a reason.
#include <nlohmann/json.hpp>

#include "report/explain.h"
#include "tests/models/models.h"
#include "tests/program.h"
#include "tests/report/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Json = nlohmann::json;

Detector detector_with(const ModelConfig& config) {
  return {std::make_unique<FasterRcnn>(config, 2, Init(3)), {"cat", "dog"}};
}

ModelConfig group_config() {
  ModelConfig config = small_config("nano-fpn");
  config.norm = "group";
  config.frozen_stages = 0;
  return config;
}

std::vector<Object> some_objects() { return {{{8, 6, 40, 44}, 1}, {{50, 20, 90, 60}, 2}}; }

Explanation explained(const ModelConfig& config, const std::vector<std::string>& settings) {
  Context ctx;
  Detector detector = detector_with(config);
  ExplainOptions options;
  options.score = 0.3f;
  options.objects = some_objects();
  if (!settings.empty()) options.what_if = parse_what_if(config, settings);
  return explain(ctx, detector, smooth_image(96, 72), options);
}

/// The line of the table of stages, before or after.
std::string line(const Json& numbers, const std::string& stage, const std::string& run) {
  for (const Json& entry : numbers["chapters"]["what-if"]["numbers"]["stages"])
    if (entry["stage"] == stage) return entry[run];
  FAIL("there is no stage ", stage);
  return "";
}

std::string refusal(const std::vector<std::string>& settings) {
  try {
    parse_what_if(group_config(), settings);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("explain --set: settings of a detection are taken, all others are refused by name") {
  const ModelConfig config = group_config();
  const WhatIf what_if = parse_what_if(config, {"rpn-nms-thresh=.5", "score=0.25", "short-side=400"});
  CHECK(what_if.config.rpn_nms_thresh == 0.5f);
  CHECK(what_if.score == 0.25f);
  CHECK(what_if.config.short_side == 400);
  CHECK(what_if.config.long_side == config.long_side * 400 / config.short_side);
  CHECK(parse_what_if(config, {"short-side=400", "long-side=500"}).config.long_side == 500);
  CHECK(parse_what_if(config, {"box-min-size=2"}).config.long_side == config.long_side);
  CHECK(refusal({"rpn-nms-thresh"}) ==
        "--set 'rpn-nms-thresh': expected a setting and its value, as in --set rpn-nms-thresh=.5");
  CHECK(contains(refusal({"rpn-nms-tresh=.5"}),
                 "--set rpn-nms-tresh: there is no such setting; expected one "
                 "of score, short-side"));
  CHECK(contains(refusal({"rpn-fg-iou-thresh=.5"}), "it counts in training only"));
  CHECK(contains(refusal({"box-head-size=64"}), "its weights depend on it"));
  CHECK(refusal({"rpn-nms-thresh=1.5"}) == "rpn-nms-thresh: expected a number from 0 to 1, found 1.5");
  CHECK(refusal({"score=2"}) == "--set score: expected a number from 0 to 1, found 2");
  CHECK(refusal({"box-nms-thresh=.4", "box-nms-thresh=.6"}) ==
        "--set box-nms-thresh: the setting is given twice, as '.4' and '.6'");
}

TEST_CASE("explain --set: the runs are those of the model and of one with the settings") {
  const ModelConfig config = group_config();
  ModelConfig changed = config;
  changed.rpn_nms_thresh = 0.4f;
  changed.short_side = 500;
  changed.long_side = config.long_side * 500 / config.short_side;
  const Json both = Json::parse(explained(config, {"rpn-nms-thresh=.4", "short-side=500"}).numbers);
  const Json alone = Json::parse(explained(config, {}).numbers);
  const Json other = Json::parse(explained(changed, {}).numbers);
  CHECK_FALSE(alone["chapters"].contains("what-if"));
  for (const auto& [id, chapter] : alone["chapters"].items()) {
    CAPTURE(id);
    CHECK(both["chapters"][id] == chapter);
  }
  CHECK(both["detections"] == alone["detections"]);
  for (const auto& [run, numbers] : {std::pair{"before", &alone}, {"after", &other}}) {
    CAPTURE(run);
    const Json& counts = (*numbers)["chapters"]["nms"]["numbers"]["counts"];
    CHECK(line(both, "proposals", run) == counts["kept"].dump());
    CHECK(line(both, "suppressed by better proposals", run) == counts["suppressed"].dump());
    CHECK(line(both, "boxes that are among the best of their levels", run) == counts["taken"].dump());
    CHECK(line(both, "network's input", run) ==
          (*numbers)["input"]["width"].dump() + " x " + (*numbers)["input"]["height"].dump());
    CHECK(line(both, "detections", run) == std::to_string((*numbers)["detections"].size()));
  }
  CHECK(line(both, "network's input", "before") != line(both, "network's input", "after"));
  // Of the objects, those are listed of which the stories differ, with both.
  std::vector<int> differing;
  for (size_t i = 0; i < alone["objects"].size(); ++i)
    if (alone["objects"][i]["sentence"] != other["objects"][i]["sentence"])
      differing.push_back(static_cast<int>(i));
  REQUIRE(differing.size() > 0);
  const Json& listed = both["chapters"]["what-if"]["numbers"]["objects"];
  REQUIRE(listed.size() == differing.size());
  for (size_t i = 0; i < listed.size(); ++i) {
    const auto object = static_cast<size_t>(differing[i]);
    CHECK(listed[i]["object"] == differing[i] + 1);
    CHECK(listed[i]["before"]["sentence"] == alone["objects"][object]["sentence"]);
    CHECK(listed[i]["after"]["sentence"] == other["objects"][object]["sentence"]);
  }
}

TEST_CASE("explain --set: a setting that changes nothing changes nothing") {
  const ModelConfig config = group_config();
  const Explanation same = explained(config, {"box-nms-thresh=" + format_value(config.box_nms_thresh)});
  const Json numbers = Json::parse(same.numbers);
  for (const Json& entry : numbers["chapters"]["what-if"]["numbers"]["stages"])
    CHECK(entry["before"] == entry["after"]);
  const Json& found = numbers["chapters"]["what-if"]["numbers"];
  CHECK(found["proposals"] == Json({{"lost", 0}, {"gained", 0}}));
  CHECK(found["detections"]["lost"].empty());
  CHECK(found["detections"]["gained"].empty());
  CHECK(found["objects"].empty());
  CHECK(contains(same.page, "each detection that is shown has its equal in the other run"));
  CHECK_FALSE(contains(same.page, "class=\"changed\""));
}

TEST_CASE("explain --set: with ground truth and batch normalisation, the model stays as it was") {
  const ModelConfig config = small_config("nano-fpn");
  REQUIRE(config.norm == "batch");
  Context ctx;
  Detector detector = detector_with(config);
  const auto buffers = [&] {
    std::vector<std::vector<float>> all;
    visit_module(
        *detector.model, [](const std::string&, Var&, const Shape&) {},
        [&](const std::string&, Tensor& value) {
          const auto numbers = value.cast(DType::f32).clone();
          all.emplace_back(numbers.values<float>().begin(), numbers.values<float>().end());
        });
    return all;
  };
  const auto before = buffers();
  REQUIRE(!before.empty());
  ExplainOptions options;
  options.score = 0.3f;
  options.objects = some_objects();
  options.what_if = parse_what_if(config, {"rpn-nms-thresh=" + format_value(config.rpn_nms_thresh)});
  const Json numbers = Json::parse(explain(ctx, detector, smooth_image(96, 72), options).numbers);
  CHECK(buffers() == before);
  const Json& found = numbers["chapters"]["what-if"]["numbers"];
  CHECK(found["proposals"] == Json({{"lost", 0}, {"gained", 0}}));
  for (const Json& entry : found["stages"]) CHECK(entry["before"] == entry["after"]);
}

TEST_CASE("explain --set: the page says which value stands for which") {
  const ModelConfig config = group_config();  // explained with a threshold of 0.3
  const std::string nothing = "The model has these values already: nothing changes.";
  const std::string page = explained(config, {"score=.1", "rpn-nms-thresh=.5"}).page;
  CHECK(contains(page, "with score = 0.1 instead of 0.3, rpn-nms-thresh = 0.5 instead of 0.7."));
  CHECK_FALSE(contains(page, nothing));
  CHECK(contains(explained(config, {"rpn-nms-thresh=.7"}).page,
                 "with rpn-nms-thresh = 0.7, as before. " + nothing));
  CHECK(contains(explained(config, {"score=.3"}).page, "with score = 0.3, as before. " + nothing));
  CHECK(contains(explained(config, {"box-detections-per-img=1"}).page, "1 detection instead of "));
}

TEST_CASE("explain --set: detections lost and gained add up, and each has its reason") {
  const ModelConfig config = group_config();
  const auto lists = [&](const std::vector<std::string>& settings) {
    const Explanation result = explained(config, settings);
    pugi::xml_document document;
    parse(result.page, document);
    CHECK(document.select_nodes("//section[@id='what-if']//figure").size() == 4);
    Json numbers = Json::parse(result.numbers);
    const auto shown = [&](const char* run) {
      return std::stoll(line(numbers, "detections that reach the confidence threshold", run));
    };
    const Json found = numbers["chapters"]["what-if"]["numbers"]["detections"];
    CHECK(shown("before") - std::ssize(found["lost"]) == shown("after") - std::ssize(found["gained"]));
    return found;
  };
  const Json raised = lists({"score=1"});
  REQUIRE(raised["lost"].size() > 0);
  CHECK(raised["gained"].empty());
  for (const Json& one : raised["lost"])
    CHECK(contains(one["sentence"].get<std::string>(), "is below the confidence threshold 1.00"));

  const Json suppressed = lists({"box-nms-thresh=0"});
  REQUIRE(suppressed["lost"].size() > 0);
  int64_t with_killer = 0;
  for (const Json& one : suppressed["lost"])
    with_killer += contains(one["sentence"].get<std::string>(), "and is suppressed by detection ");
  CHECK(with_killer > 0);

  const Json more = lists({"box-nms-thresh=.9"});
  REQUIRE(more["gained"].size() > 0);
  for (const Json& one : more["gained"])
    CHECK(contains(one["sentence"].get<std::string>(), ": as the model is, "));

  const Json few = lists({"box-detections-per-img=1"});
  REQUIRE(few["lost"].size() > 0);
  for (const Json& one : few["lost"])
    CHECK(contains(one["sentence"].get<std::string>(), "is cut, because at most 1 are kept"));
}

TEST_CASE("explain --set: of the program") {
  const ProgramTrial trial;
  if (!trial) return;
  Detector detector = detector_with(group_config());
  save_model(trial.path("model.safetensors"), detector);
  write_png(trial.path("photo.png"), smooth_image(96, 72));
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"explain", "--weights", trial.path("model.safetensors"), "--out",
                                      trial.path("out")};
    words.insert(words.end(), more.begin(), more.end());
    return trial.run(words);
  };
  const Finished refused = run({"--set", "batch=3", trial.path("photo.png")});
  CHECK(refused.status == 2);
  CHECK(contains(refused.err, "--set batch: there is no such setting"));
  CHECK_FALSE(std::filesystem::exists(trial.path("out")));
  REQUIRE(run({"--set", "rpn-nms-thresh=.5", "--set", "score=.2", trial.path("photo.png")}).status == 0);
  const Json settings =
      Json::parse(content_of(trial.path("out/trace.json")))["chapters"]["what-if"]["numbers"]["settings"];
  CHECK(settings == Json({{"rpn-nms-thresh", ".5"}, {"score", ".2"}}));
  CHECK(std::filesystem::exists(trial.path("out/11_what-if_4.png")));
}
