#include "report/pictures.h"

#include <algorithm>

#include "data/draw.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

Colour colour_at(const Image& image, int x, int y) {
  const uint8_t* pixel = image.pixel(x, y);
  return {pixel[0], pixel[1], pixel[2]};
}

bool holds(const Image& image, Colour colour) {
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x)
      if (colour_at(image, x, y) == colour) return true;
  return false;
}

Image grey_image(int width, int height) {
  Image image(width, height);
  std::fill(image.rgb.begin(), image.rgb.end(), uint8_t{128});
  return image;
}

constexpr Colour kWhite{255, 255, 255}, kOrange{251, 111, 36}, kGreen{46, 204, 113}, kBlack{0, 0, 0};

}  // namespace

TEST_CASE("report pictures: an augmented image is shrunk with its boxes, and ignored objects are dashed") {
  TrainingExample example;
  example.id = "some image";
  example.picture.image = grey_image(640, 480);
  example.picture.objects = {{{100, 200, 300, 400}, 1}, {{400, 200, 600, 400}, 2}};
  example.picture.objects[1].crowd = true;
  const ReportPicture picture = augmented_picture(example, {"cat", "dog"});
  CHECK(picture.caption == "some image");
  REQUIRE(picture.image.width == 320);
  REQUIRE(picture.image.height == 240);
  CHECK(colour_at(picture.image, 50, 150) == class_colour(1));
  CHECK(colour_at(picture.image, 149, 199) == class_colour(1));
  const auto side = [&](Colour colour) {  // counts pixels of this colour on the left side of the crowd's box
    int count = 0;
    for (int y = 100; y < 200; ++y) count += colour_at(picture.image, 200, y) == colour ? 1 : 0;
    return count;
  };
  CHECK(side(class_colour(2)) > 30);
  CHECK(side(kBlack) > 30);
}

TEST_CASE("report pictures: a portrait is shrunk by its height") {
  TrainingExample example;
  example.picture.image = grey_image(300, 1200);
  const Image shown = augmented_picture(example, {}).image;
  CHECK(shown.width == 80);
  CHECK(shown.height == 320);
}

TEST_CASE("report pictures: in the worst images each kind of box has its own style") {
  const TemporaryFolder folder;
  write_png(folder / "a.png", grey_image(960, 720));
  Dataset dataset;
  dataset.classes = {"cat"};
  dataset.samples = {{"a", folder / "a.png", 960, 720, {{{40, 200, 240, 400}, 1}}},
                     {"missing", folder / "b.png", 960, 720, {}}};
  Diagnosis diagnosis;
  diagnosis.worst.resize(2);
  diagnosis.worst[0].image = 1;  // cannot be read
  diagnosis.worst[1].image = 0;
  diagnosis.worst[1].missed = {{40, 200, 240, 400}};
  diagnosis.worst[1].wrong = {{0, 1, 0.5F, {400, 200, 600, 400}}};
  diagnosis.worst[1].right = {{0, 1, 0.5F, {700, 200, 900, 400}}};
  diagnosis.worst[1].reasons = {"1 of 1 cat missed"};
  const std::vector<ReportPicture> pictures = worst_pictures(diagnosis, dataset);
  REQUIRE(pictures.size() == 1);
  const Image& image = pictures[0].image;
  REQUIRE(image.width == 480);
  CHECK(pictures[0].caption == "a");
  CHECK(pictures[0].remarks == std::vector<std::string>{"1 of 1 cat missed"});
  CHECK(colour_at(image, 20, 100) == kWhite);  // the first dash begins in the corner
  CHECK(colour_at(image, 20, 110) == kBlack);  // a gap follows it
  CHECK(colour_at(image, 200, 150) == kOrange);
  CHECK(colour_at(image, 350, 150) == kGreen);
  CHECK(colour_at(image, 200, 97) == kOrange);                // a wrong detection has a tag
  CHECK(colour_at(image, 20, 97) == kWhite);                  // a missed object has a tag
  CHECK(colour_at(image, 350, 97) == Colour{128, 128, 128});  // a right detection has none

  diagnosis.worst[1].missed = {{40, 200, 240, 399}};  // the box of no object is drawn without a name
  const Image unnamed = worst_pictures(diagnosis, dataset)[0].image;
  CHECK(colour_at(unnamed, 20, 100) == kWhite);
  CHECK(colour_at(unnamed, 20, 97) == Colour{128, 128, 128});
}

TEST_CASE("report pictures: the captions of examples count the objects and detections shown") {
  const TemporaryFolder folder;
  write_png(folder / "a.png", grey_image(100, 80));
  Dataset dataset;
  dataset.classes = {"cat"};
  dataset.samples = {{"empty", folder / "a.png", 100, 80, {}},
                     {"a", folder / "a.png", 100, 80, {{{10, 10, 50, 50}, 1}}},
                     {"missing", folder / "b.png", 100, 80, {{{10, 10, 50, 50}, 1}}}};
  const std::vector<Detection> detections = {{1, 1, 0.9F, {60, 20, 90, 70}},
                                             {1, 1, 0.5F, {60, 20, 90, 70}},
                                             {1, 1, 0.49F, {60, 20, 90, 70}},
                                             {0, 1, 0.9F, {}}};
  const std::vector<ReportExample> examples = example_pictures(detections, dataset);
  REQUIRE(examples.size() == 1);
  CHECK(examples[0].caption == "a: 1 object, 2 detections at a confidence threshold of 0.5");
  CHECK(colour_at(examples[0].truth, 10, 30) == class_colour(1));
  CHECK(colour_at(examples[0].detected, 60, 60) == class_colour(1));
  CHECK_FALSE(holds(examples[0].truth, kGreen));

  Diagnosis diagnosis;
  diagnosis.classes.resize(1);
  diagnosis.classes[0].best_score = 0.6F;
  CHECK(example_pictures(detections, dataset, &diagnosis)[0].caption ==
        "a: 1 object, 1 detection at the recommended confidence thresholds");
}
