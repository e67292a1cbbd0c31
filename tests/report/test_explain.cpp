// `explain`: every chapter's numbers are the network's own, the losses' rows sum to the losses, the named
// sources exist, and the page's script keeps the same boxes as the program.
#include "report/explain.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "core/files/atomic_file.h"
#include "core/rng.h"
#include "layers/boxes.h"
#include "models/transform.h"
#include "tests/models/models.h"
#include "tests/program.h"
#include "tests/report/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

Detector small_detector(const std::string& norm) {
  return {std::make_unique<FasterRcnn>(small_model("nano-fpn", norm, 3)), {"cat", "dog"}};
}

std::vector<Object> two_objects() {
  std::vector<Object> objects = {{{8, 6, 40, 44}, 1}, {{50, 20, 90, 60}, 2}, {{60, 2, 80, 12}, 1}};
  objects[2].difficult = true;
  return objects;
}

/// The explanation of a picture by a network of random weights, with and without ground truth.
struct Explained {
  Context ctx;
  Detector detector = small_detector("group");
  Image image = smooth_image(96, 72);
  Explanation result;
  Json numbers;

  explicit Explained(bool objects, const std::string& name = "a photo.png") {
    ExplainOptions options;
    options.name = name;
    options.score = 0.05f;
    if (objects) options.objects = two_objects();
    result = explain(ctx, detector, image, options);
    numbers = Json::parse(result.numbers);
  }
  const Json& of(const std::string& chapter) const { return numbers["chapters"][chapter]["numbers"]; }
};

bool close(const Json& a, const Json& b, double tolerance) {
  return std::fabs(a.get<double>() - b.get<double>()) <=
         tolerance * std::max(1.0, std::fabs(b.get<double>()));
}

fs::path find_chromium() {
  for (const char* place : {"/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"})
    if (fs::exists(place)) return place;
  MESSAGE("skipped: Chromium was not found");
  return {};
}

}  // namespace

TEST_CASE("explain: what is worked out by hand equals what is in the network") {
  const Explained explained(false);
  for (const Json& value : explained.of("input")["pixel"]) CHECK(value["result"] == value["in_tensor"]);
  CHECK(explained.of("deltas")["followed"]["clipped"] == explained.of("deltas")["followed"]["box"]);
  const Json& bin = explained.of("pooling")["worked"];
  CHECK(close(bin["by_hand"], bin["in_tensor"], 1e-5));
  CHECK(explained.of("head")["refined"]["by_hand"] == explained.of("head")["refined"]["box"]);
  double sum = 0;
  for (const Json& p : explained.of("head")["probabilities"]) sum += p["probability"].get<double>();
  CHECK(std::fabs(sum - 1) < 1e-5);
  CHECK(explained.numbers["detections"].size() > 0);
  CHECK_FALSE(explained.numbers.contains("objects"));
  CHECK_FALSE(explained.numbers["chapters"].contains("losses"));
}

TEST_CASE("explain: the rows of the losses add up to those of a training step") {
  const Explained explained(true);
  CHECK(explained.numbers["objects"].size() == 3);
  CHECK(explained.numbers["objects"][2]["fate"] == "not counted");
  const Json& losses = explained.of("losses");
  REQUIRE(losses["rows"].size() == 3);  // two objects and the background
  for (const char* key : {"rpn_cls", "rpn_box", "cls", "box"}) {
    CAPTURE(key);
    double sum = 0;
    for (const Json& row : losses["rows"]) sum += row[key].get<double>();
    CHECK(std::fabs(sum - losses["loss"][key].get<double>()) <= 1e-6 * std::max(1.0, sum));
    CHECK(losses["loss"][key].get<double>() > 0);
  }
  const Json& matching = explained.of("matching");
  int64_t positive = 0;
  for (const Json& object : matching["objects"])
    positive += object["positive"].get<int64_t>() + object["promoted"].get<int64_t>();
  int64_t anchors = 0;
  for (const Json& level : explained.of("anchors")["levels"]) anchors += level["anchors"].get<int64_t>();
  CHECK(positive + matching["background"].get<int64_t>() + matching["ignored"].get<int64_t>() == anchors);
  CHECK(matching["sampled_positive"].get<int64_t>() + matching["sampled_background"].get<int64_t>() == 16);
}

TEST_CASE(
    "explain: the detections are those of a detection, and the page is well-formed whatever its texts") {
  const Explained explained(true, kHostile);
  Context ctx;
  const Detector other = small_detector("group");
  const RawImage raw{explained.image.rgb.data(), explained.image.height, explained.image.width};
  const Detections found = other.model->detect(ctx, make_image_batch(ctx, other.model->config, {&raw, 1}));
  CHECK(explained.numbers["detections"].size() == static_cast<size_t>(found.count.values<int32_t>()[0]));
  pugi::xml_document document;
  parse(explained.result.page, document);
  CHECK(document.select_nodes("//section").size() == 12);
  CHECK(document.select_nodes("//figure").size() ==
        explained.result.pictures.size() + 1);  // and the overview
  std::set<std::string> names;
  for (const auto& [name, picture] : explained.result.pictures) {
    CHECK(names.insert(name).second);
    CHECK((std::max(picture.width, picture.height) == 800 || std::max(picture.width, picture.height) == 400));
  }
  CHECK(explained.result.page.find("src=\"http") == std::string::npos);
}

TEST_CASE("explain: a model of one level with RoI pooling, whole pixels and a head of convolutions") {
  ModelConfig config = small_config("resnet18-c4");
  config.short_side = 64;
  config.long_side = 128;
  config.box_pooling = "roi-pool";
  config.whole_pixels = true;
  config.norm = "group";
  config.frozen_stages = 0;
  Detector detector{std::make_unique<FasterRcnn>(config, 2, Init(3)), {"cat", "dog"}};
  Context ctx;
  ExplainOptions options;
  options.objects = two_objects();
  const Json numbers = Json::parse(explain(ctx, detector, smooth_image(96, 72), options).numbers);
  CHECK(numbers["chapters"]["pooling"]["numbers"]["level"] == "C4");
  CHECK_FALSE(numbers["chapters"]["pooling"]["numbers"].contains("worked"));
  CHECK(numbers["chapters"]["head"]["numbers"]["refined"]["by_hand"] ==
        numbers["chapters"]["head"]["numbers"]["refined"]["box"]);
}

TEST_CASE("explain: every named file and function exists") {
  if (!fs::exists("models/rpn.cpp")) {
    MESSAGE("skipped: the tests do not run in the folder of the sources");
    return;
  }
  const Explained explained(true);
  for (const auto& [id, chapter] : explained.numbers["chapters"].items()) {
    CAPTURE(id);
    const std::string function = chapter["function"], source = content_of(chapter["file"].get<std::string>());
    CHECK(source.find(" " + function + "(") != std::string::npos);
    CHECK_FALSE(chapter["shape"].get<std::string>().empty());
  }
}

TEST_CASE("explain: the page's non-maximum suppression keeps the program's boxes, of 1,000") {
  const fs::path chromium = find_chromium();
  if (chromium.empty()) return;
  constexpr int64_t kBoxes = 1000;
  RandomSequence random(11, Purpose::test);
  Candidates candidates{Tensor::empty({1, kBoxes, 4}, DType::f32), Tensor::empty({1, kBoxes}, DType::f32),
                        Tensor::empty({1, kBoxes}, DType::i32)};
  Json boxes = Json::array();
  for (int64_t i = 0; i < kBoxes; ++i) {
    const float x = random.uniform(0, 300), y = random.uniform(0, 200);
    // Scores of two decimals have many ties.
    const float row[] = {x, y, x + random.uniform(5, 80), y + random.uniform(5, 80),
                         std::round(random.uniform(0, 100)) / 100};
    const int32_t label = 1 + static_cast<int32_t>(random.uniform(0, 2.99f));
    std::copy_n(row, 4, candidates.boxes.mutable_data<float>() + i * 4);
    candidates.scores.mutable_data<float>()[i] = row[4];
    candidates.group.mutable_data<int32_t>()[i] = label;
    Json entry = Json::array();
    for (const float value : row) entry.push_back(Json::parse(fmt::format("{}", value)));
    entry.push_back(label);
    boxes.push_back(entry);
  }
  for (const float threshold : {0.3f, 0.5f, 0.7f}) {
    Context ctx;
    const KeptRows kept = nms(ctx, candidates, {.threshold = threshold, .max_boxes = 400});
    std::vector<int> expected;
    for (int32_t i = 0; i < kept.count.values<int32_t>()[0]; ++i)
      expected.push_back(kept.rows.values<int32_t>()[static_cast<size_t>(i)]);
    const TemporaryFolder folder;
    write_atomically(
        folder / "page.html",
        fmt::format("<!DOCTYPE html><html><body><script>{}</script><script>document.body.textContent = "
                    "'kept' + JSON.stringify(nms({}, {}, 400, 0)) + 'end';</script></body></html>",
                    kExplainScript, boxes.dump(), threshold));
    Process browser({chromium.string(), "--headless", "--no-sandbox", "--disable-gpu",
                     "--user-data-dir=" + (folder / "profile").string(), "--dump-dom",
                     "file://" + (folder / "page.html").string()});
    REQUIRE(browser.wait() == 0);
    const std::string out = browser.out();
    const size_t begin = out.find("kept["), end = out.find("]end");
    REQUIRE(begin != std::string::npos);
    REQUIRE(end != std::string::npos);
    CHECK(Json::parse(out.substr(begin + 4, end + 1 - begin - 4)).get<std::vector<int>>() == expected);
  }
}
