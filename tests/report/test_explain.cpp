// `explain`: every chapter's numbers are the network's own, the losses' rows sum to the losses, the named
// sources exist, and the page's script keeps the same boxes as the program.
#include "report/explain.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "core/files/atomic_file.h"
#include "core/rng.h"
#include "eval/detect.h"
#include "eval/matching.h"
#include "layers/boxes.h"
#include "models/transform.h"
#include "tests/models/models.h"
#include "tests/program.h"
#include "tests/report/explained.h"
#include "tests/report/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

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

TEST_CASE("explain: the products that the page shows come out at all digits that it shows") {
  Explained explained(false);
  pugi::xml_document document;
  parse(explained.result.page, document);
  const auto cells = [&](const std::string& chapter, int row) {
    std::vector<std::string> texts;
    for (const auto& cell : document.select_nodes(
             fmt::format("(//section[@id='{}']//table)[1]/tbody/tr[{}]/td", chapter, row).c_str()))
      texts.emplace_back(cell.node().text().get());
    return texts;
  };
  const auto numbers_in = [](std::string text) {
    for (char& c : text)
      if (!std::strchr("0123456789.+-e", c)) c = ' ';
    std::vector<double> numbers;
    std::istringstream in(text);
    for (std::string word; in >> word;)
      if (word.find_first_of("0123456789") != std::string::npos) numbers.push_back(std::stod(word));
    return numbers;
  };
  for (int row = 1; row <= 3; ++row) {
    const std::vector<std::string> c = cells("input", row);  // channel, byte or resized, normalised, result
    REQUIRE(c.size() >= 5);
    const double mixed = std::stod(c[c.size() - 4]);
    const std::vector<double> by = numbers_in(c[c.size() - 3]);  // "x gain +offset"
    REQUIRE(by.size() == 2);
    CHECK(fmt::format("{:.4f}", mixed * by[0] + by[1]) == c[c.size() - 2]);
  }
  for (int row = 1; row <= 2; ++row) {
    const std::vector<std::string> c = cells("deltas", row);
    const std::vector<double> by = numbers_in(c.at(1));  // "a + (d) x w"
    REQUIRE(by.size() == 3);
    CHECK(fmt::format("{:.2f}", by[0] + by[1] * by[2]) == c.at(2));
  }
}

TEST_CASE("explain: every suppressed proposal has its killer in the numbers, and all boxes are counted") {
  const Explained explained(true);
  const Json& nms = explained.of("nms");
  const Json& counts = nms["counts"];
  const auto number = [&](const char* key) { return counts[key].get<int64_t>(); };
  CHECK(number("taken") == number("left_out") + number("suppressed") + number("cut") + number("kept"));
  CHECK(std::ssize(nms["suppressed"]) == number("suppressed"));
  CHECK(std::ssize(nms["proposals"]) == number("kept"));
  CHECK(number("suppressed") > 0);
  for (const Json& box : nms["suppressed"]) {
    CHECK(box["suppressed_by"].get<int64_t>() >= 1);
    CHECK(box["suppressed_by"].get<int64_t>() <= number("kept"));
    CHECK(box["overlap"].get<double>() > explained.detector.model->config.rpn_nms_thresh);
  }
  // The proposals on each object, counted once more from the boxes.
  REQUIRE(nms["objects"].size() == 3);
  const ToImage to_image(explained.detector.model->config, explained.image);
  for (size_t i = 0; i < 3; ++i) {
    int64_t count = 0;
    for (const Json& proposal : nms["proposals"]) {
      float at[4];
      for (size_t k = 0; k < 4; ++k) at[k] = proposal["box"][k].get<float>();
      count += overlap(to_image(at), two_objects()[i].box) >= 0.5;
    }
    CHECK(nms["objects"][i]["proposals"] == count);
  }
  CHECK(explained.result.page.find("Object 3 (difficult) is left out") != std::string::npos);
}

TEST_CASE("explain: Grad-CAM is drawn where the head reads the map, and nowhere else") {
  const Explained explained(false);
  const Json& looked = explained.of("saliency")["detections"];
  REQUIRE(looked.size() > 0);
  for (const Json& one : looked) {
    CAPTURE(one.dump());
    const auto place = one["detection"].get<int64_t>();
    int64_t proposal = 0;
    for (const Json& box : explained.of("detections")["boxes"])
      if (box["detection"] == place) proposal = box["proposal"].get<int64_t>();
    REQUIRE(proposal > 0);
    const Json& box = explained.of("nms")["proposals"][static_cast<size_t>(proposal - 1)]["box"];
    float stride = 0;
    for (const Json& level : explained.of("anchors")["levels"])
      if (level["name"] == one["level"]) stride = level["stride"].get<float>();
    REQUIRE(stride > 0);
    const auto cells = one["cells_read"].get<std::vector<int64_t>>();  // rows [0, 2), columns [1, 3)
    const auto cell = one["strongest_cell"].get<std::vector<int64_t>>();
    for (size_t axis = 0; axis < 2; ++axis) {  // rows, then columns
      const float low = box[1 - axis].get<float>() / stride, high = box[3 - axis].get<float>() / stride;
      CHECK(cells[axis] < cells[axis + 2]);
      CHECK(static_cast<float>(cells[axis]) > low - 1);
      CHECK(static_cast<float>(cells[axis + 2] - 1) < high + 1);
      if (one["strongest"].get<float>() > 0) {
        CHECK(cell[axis] >= cells[axis]);
        CHECK(cell[axis] < cells[axis + 2]);
      }
    }
  }
}

TEST_CASE("explain: what an image has none of is said, without legends and empty tables") {
  Context ctx;
  Detector detector = small_detector("group");
  ExplainOptions options;
  options.score = 1.0f;
  options.objects.emplace();
  const std::string page = explain(ctx, detector, smooth_image(96, 72), options).page;
  CHECK(page.find("No detection reaches the confidence threshold. The data has no object on this image.") !=
        std::string::npos);
  CHECK(page.find("There is no object on this image.") != std::string::npos);
  CHECK(page.find("green: right") == std::string::npos);
  CHECK(page.find("in a colour for each object") == std::string::npos);
  pugi::xml_document document;
  parse(page, document);
  CHECK(document.select_nodes("//tbody[not(tr)]").empty());

  detector.model->config.box_score_thresh = 1;
  options.objects.reset();
  const std::string nothing = explain(ctx, detector, smooth_image(96, 72), options).page;
  CHECK(nothing.find("Nothing was detected.") != std::string::npos);
  CHECK(nothing.find("The head gave no region a class with a score of more than 1.00") != std::string::npos);
  CHECK(nothing.find("There is no detection on this image") != std::string::npos);
  CHECK(nothing.find("id=\"whatif-data\"") == std::string::npos);
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
    Process browser({"/usr/bin/timeout", "60", chromium.string(), "--headless", "--no-sandbox",
                     "--disable-gpu", "--user-data-dir=" + (folder / "profile").string(), "--dump-dom",
                     "file://" + (folder / "page.html").string()});
    if (const int status = browser.wait(); status != 0) {
      MESSAGE("skipped: chromium ends with ", status, ", or takes longer than a minute");
      return;
    }
    const std::string out = browser.out();
    const size_t begin = out.find("kept["), end = out.find("]end");
    REQUIRE(begin != std::string::npos);
    REQUIRE(end != std::string::npos);
    CHECK(Json::parse(out.substr(begin + 4, end + 1 - begin - 4)).get<std::vector<int>>() == expected);
  }
}
