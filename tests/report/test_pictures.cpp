#include "report/pictures.h"

#include <algorithm>

#include "report/overlay.h"
#include "tests/report/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

Image grey_image(int width, int height) {
  Image image(width, height);
  std::fill(image.rgb.begin(), image.rgb.end(), uint8_t{128});
  return image;
}

/// "kind: name (tooltip) at x1 y1 x2 y2"
std::string words(const ReportBox& box) {
  constexpr const char* kKinds[] = {"correct", "wrong", "missed", "truth", "ignored"};
  return fmt::format("{}: {} ({}) at {:g} {:g} {:g} {:g}", kKinds[static_cast<int>(box.kind)], box.name,
                     box.tooltip, box.box.x1, box.box.y1, box.box.x2, box.box.y2);
}

std::string element_of(const std::vector<ReportBox>& boxes, pugi::xml_document& document) {
  const std::string element = picture_element({grey_image(440, 330), "", {}, boxes, ""}, "an image");
  parse(element, document);
  return element;
}

}  // namespace

TEST_CASE("report pictures: an augmented image is shrunk with its boxes, and ignored objects are marked") {
  TrainingExample example;
  example.id = "some image";
  example.picture.image = grey_image(960, 720);
  example.picture.objects = {{{100, 200, 300, 400}, 1}, {{400, 200, 600, 400}, 2}};
  example.picture.objects[1].crowd = true;
  const ReportPicture picture = augmented_picture(example, {"cat"});
  CHECK(picture.caption == "some image");
  CHECK(picture.image.width == 480);
  CHECK(picture.image.height == 360);
  REQUIRE(picture.boxes.size() == 2);
  CHECK(words(picture.boxes[0]) == "truth: cat (cat) at 50 100 150 200");
  CHECK(words(picture.boxes[1]) == "ignored: 2 (2 (ignored)) at 200 100 300 200");
}

TEST_CASE("report pictures: each box says what it is, errors first") {
  const TemporaryFolder folder;
  write_png(folder / "a.png", grey_image(1600, 1200));
  Dataset dataset;
  dataset.classes = {"cat", "dog"};
  dataset.samples = {{"a", folder / "a.png", 1600, 1200, {{{40, 200, 240, 400}, 2}}},
                     {"missing", folder / "b.png", 960, 720, {}}};
  Diagnosis diagnosis;
  diagnosis.worst.resize(2);
  diagnosis.worst[0].image = 1;  // cannot be read
  diagnosis.worst[1].image = 0;
  diagnosis.worst[1].missed = {{0, 0, ObjectSize::large, MissCause::low_score}};
  diagnosis.worst[1].wrong = {{{0, 1, 0.5F, {400, 200, 600, 400}}, FalsePositive::duplicate}};
  diagnosis.worst[1].right = {{0, 1, 0.75F, {700, 200, 900, 400}}};
  diagnosis.worst[1].reasons = {"1 of 1 dog missed"};
  const std::vector<ReportPicture> pictures = worst_pictures(diagnosis, dataset);
  REQUIRE(pictures.size() == 1);
  CHECK(pictures[0].image.width == 800);
  CHECK(pictures[0].caption == "a");
  CHECK(pictures[0].verdict == "1 of 2 objects found, 1 false positive");
  CHECK(pictures[0].remarks == std::vector<std::string>{"1 of 1 dog missed"});
  REQUIRE(pictures[0].boxes.size() == 3);
  CHECK(words(pictures[0].boxes[0]) ==
        "wrong: × cat 0.50 (cat, confidence 0.50: false positive (duplicate)) at 200 100 300 200");
  CHECK(words(pictures[0].boxes[1]) == "missed: ? dog (dog: missed (low score)) at 20 100 120 200");
  CHECK(words(pictures[0].boxes[2]) == "correct: cat 0.75 (cat 0.75) at 350 100 450 200");

  diagnosis.examples = {diagnosis.worst[1]};
  diagnosis.examples[0].missed.clear();
  diagnosis.examples[0].wrong.clear();
  CHECK(example_pictures(diagnosis, dataset).at(0).verdict == "1 of 1 object found");
  diagnosis.good = diagnosis.examples;
  diagnosis.good[0].right.resize(3, diagnosis.good[0].right[0]);
  CHECK(good_pictures(diagnosis, dataset).at(0).verdict == "all 3 objects found");
  diagnosis.good[0].right.clear();
  diagnosis.good[0].wrong.resize(2);
  CHECK(good_pictures(diagnosis, dataset).at(0).verdict == "no objects, 2 false positives");
}

TEST_CASE("report pictures: a click enlarges the picture without a script") {
  pugi::xml_document document;
  element_of({{{100, 100, 200, 200}, BoxKind::missed, "? <cat>", "a & b"}}, document);
  const pugi::xml_node label = document.child("label");
  CHECK(std::string(label.attribute("class").value()) == "zoom");
  CHECK(std::string(label.child("input").attribute("type").value()) == "checkbox");
  CHECK(std::string(label.child("input").next_sibling().attribute("class").value()) == "picture");
  CHECK(std::string(document.select_node("//img").node().attribute("alt").value()) == "an image");
  CHECK(std::string(document.select_node("//svg").node().attribute("viewBox").value()) == "0 0 440 330");
  CHECK(text_at(document, "//g[@class='missed']/rect/title") == "a & b");
  CHECK(text_at(document, "//text[@class='missed']") == "? <cat>");
}

TEST_CASE("report pictures: names do not overlap, and those without room wait for the enlarged picture") {
  pugi::xml_document document;
  std::vector<ReportBox> boxes;  // ten rows of narrow boxes in the middle
  for (int row = 0; row < 10; ++row)
    for (int column = 0; column < 10; ++column) {
      const auto x = static_cast<float>(100 + 20 * column), y = static_cast<float>(60 + 20 * row);
      boxes.push_back({{x, y, x + 15, y + 15}, BoxKind::wrong, "some name 0.99", ""});
    }
  element_of(boxes, document);
  CHECK(count_of(document, "//g") == 100);
  struct Area {
    double x1, x2, y1, y2;
  };
  for (const bool enlarged : {false, true}) {
    const double size = 440.0 / 24 * (enlarged ? 0.45 : 1);
    std::vector<Area> areas;
    for (const auto& found : document.select_nodes(enlarged ? "//text" : "//text[@class='wrong']")) {
      const pugi::xml_node text = found.node();
      const double x = text.attribute("x").as_double(), y = text.attribute("y").as_double();
      const bool ends = text.attribute("text-anchor").value() == std::string("end");
      const bool below = text.attribute("dy").value() == std::string(".95em");
      const double width = 14 * 0.6 * size;
      areas.push_back(
          {ends ? x - width : x, ends ? x : x + width, below ? y : y - size, below ? y + size : y});
    }
    CHECK(areas.size() >= (enlarged ? 20 : 5));
    CHECK(areas.size() < 100);
    for (size_t i = 0; i < areas.size(); ++i) {
      CHECK(areas[i].x1 >= 0);
      CHECK(areas[i].x2 <= 440);
      for (size_t j = 0; j < i; ++j)
        CHECK_FALSE((areas[i].x1 < areas[j].x2 && areas[j].x1 < areas[i].x2 && areas[i].y1 < areas[j].y2 &&
                     areas[j].y1 < areas[i].y2));
    }
  }
  CHECK(count_of(document, "//text[@class='wrong more']") > 10);
  // In such a crowd, the names of correct detections wait too.
  boxes.resize(12);
  boxes[5].kind = BoxKind::correct;
  boxes[5].box = {300, 280, 420, 320};
  element_of(boxes, document);
  CHECK(count_of(document, "//text[@class='right']") == 0);
  CHECK(count_of(document, "//text[@class='right more']") == 1);
  boxes.resize(6);
  element_of(boxes, document);
  CHECK(count_of(document, "//text[@class='right']") == 1);
}

TEST_CASE("report pictures: boxes that cannot be drawn are left out") {
  pugi::xml_document document;
  const float nan = std::nanf("");
  const std::string element = element_of({{{nan, 0, 10, 10}, BoxKind::wrong, "a", ""},
                                          {{10, 10, 5, 20}, BoxKind::wrong, "b", ""},
                                          {{0, 0, 439, 329}, BoxKind::wrong, "c", ""}},
                                         document);
  CHECK(count_of(document, "//g") == 1);
  CHECK(text_at(document, "//text") == "c");
}
