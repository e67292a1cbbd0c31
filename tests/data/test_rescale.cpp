#include "data/rescale.h"

#include "data/folder.h"
#include "eval/advice.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

std::string xml(int width, int height) {
  return "<annotation><size><width>" + std::to_string(width) + "</width><height>" + std::to_string(height) +
         "</height></size><object><name>cat</name><bndbox><xmin>11</xmin><ymin>5</ymin><xmax>40</"
         "xmax><ymax>20</ymax>"
         "</bndbox></object></annotation>";
}

/// Images of 40 x 30 whose annotations give these sizes, as XML files beside them or as a COCO file.
struct Maker {
  TemporaryFolder folder;

  Maker(const std::vector<ImageSize>& said, bool coco) {
    std::string images, annotations;
    for (size_t i = 0; i < said.size(); ++i) {
      const std::string stem = fmt::format("{}", i), comma = i == 0 ? "" : ", ";
      write_bytes(folder / (stem + ".jpg"), stb_jpeg(smooth_image(40, 30)));
      if (!coco) write_text(folder / (stem + ".xml"), xml(said[i].width, said[i].height));
      images += fmt::format(R"({}{{"id": {}, "file_name": "{}.jpg", "width": {}, "height": {}}})", comma, i,
                            stem, said[i].width, said[i].height);
      annotations += fmt::format(
          R"({}{{"image_id": {}, "category_id": 1, "bbox": [10, 4, 30, 16], "area": 100}})", comma, i);
    }
    if (coco)
      write_text(folder / "a.json", R"({"categories": [{"id": 1, "name": "cat"}], "images": [)" + images +
                                        R"(], "annotations": [)" + annotations + "]}");
  }
  Dataset read(bool rescale) const {
    DataFolder found = find_data(folder.path());
    found.options.rescale_boxes = rescale;
    return read_split(found, "");
  }
};

size_t count(const Sentences& sentences, const std::string& words) {
  return static_cast<size_t>(
      std::count_if(sentences.begin(), sentences.end(), [&](const auto& s) { return contains(s, words); }));
}

}  // namespace

TEST_CASE("rescale: a factor that all images share, to within a pixel") {
  CHECK(common_factor(
            std::vector<SizePair>{{{80, 60}, {40, 30}}, {{81, 59}, {40, 30}}, {{640, 480}, {320, 240}}})
            .value() == doctest::Approx(0.5).epsilon(0.01));
  CHECK(common_factor(std::vector<SizePair>{{{40, 30}, {80, 60}}, {{4, 3}, {8, 6}}, {{10, 10}, {20, 20}}}) ==
        2.0);
  const SizePair half{{80, 60}, {40, 30}};
  for (const SizePair& other : {SizePair{{80, 60}, {80, 60}}, SizePair{{}, {40, 30}},
                                SizePair{{80, 60}, {80, 30}}, SizePair{{800, 600}, {440, 330}}})
    CHECK_FALSE(common_factor(std::vector<SizePair>{half, half, other}));
  CHECK_FALSE(common_factor(std::vector<SizePair>{half, half}));  // two may be a coincidence
  CHECK_FALSE(common_factor({}));
}

TEST_CASE(
    "rescale: a dataset that was resized after labelling is said once and loudly, and its boxes can be "
    "scaled") {
  for (const bool coco : {false, true}) {
    const Maker maker(std::vector<ImageSize>(4, {80, 60}), coco);
    const Dataset plain = maker.read(false);
    CHECK(plain.samples[3].objects.at(0).box == Box{10, 4, 40, 20});
    REQUIRE(plain.faults.size() == 1);
    CAPTURE(plain.faults[0].what);
    CHECK(plain.faults[0].kind == FaultKind::other_scale);
    CHECK(contains(plain.faults[0].what, "are all 0.5 times as large as their annotations say: "));
    CHECK(contains(plain.faults[0].what, "--rescale-boxes scales the boxes."));
    CHECK(count(label_advice(plain), "0.5 times") == 1);
    const Dataset scaled = maker.read(true);
    for (const Sample& sample : scaled.samples) {
      CHECK(sample.width == 40);
      REQUIRE(sample.objects.size() == 1);
      CHECK(sample.objects[0].box == Box{5, 2, 20, 10});
      CHECK(sample.objects[0].area == (coco ? 25 : 0));
    }
    REQUIRE(scaled.faults.size() == 1);
    CHECK(contains(scaled.faults[0].what, "their boxes were scaled by that"));
  }
}

TEST_CASE("rescale: single images that disagree are faults, one each") {
  for (const bool coco : {false, true}) {
    const Maker maker({{40, 30}, {80, 30}, {40, 30}, {80, 60}}, coco);
    const Dataset plain = maker.read(false);
    REQUIRE(plain.faults.size() == 2);
    CHECK(contains(plain.faults[0].what, "80 x 30, but the image has 40 x 30; the image's size is used"));
    CHECK(plain.samples[1].objects.at(0).box == Box{10, 4, 40, 20});
    const Dataset scaled = maker.read(true);
    REQUIRE(scaled.faults.size() == 2);
    CHECK(contains(scaled.faults[0].what, "80 x 30, but the image has 40 x 30; its boxes are scaled"));
    CHECK(scaled.samples[0].objects.at(0).box == Box{10, 4, 40, 20});
    CHECK(scaled.samples[1].objects.at(0).box == Box{5, 4, 20, 20});
    CHECK(scaled.samples[3].objects.at(0).box == Box{5, 2, 20, 10});
  }
}

TEST_CASE("rescale: width and height that are exchanged do not distort boxes") {
  CHECK(are_exchanged({{30, 40}, {40, 30}}));
  CHECK(are_exchanged({{60, 80}, {40, 30}}));
  for (const SizePair& other :
       {SizePair{{40, 30}, {40, 30}}, SizePair{{80, 60}, {40, 30}}, SizePair{{30, 30}, {40, 40}},
        SizePair{{80, 30}, {40, 30}}, SizePair{{}, {40, 30}}})
    CHECK_FALSE(are_exchanged(other));
  for (const bool coco : {false, true}) {
    const Maker maker({{30, 40}, {60, 80}, {40, 30}}, coco);
    const Dataset plain = maker.read(false);
    REQUIRE(count_faults(plain.faults) == 2);
    CHECK(contains(plain.faults[0].what,
                   "30 x 40, but the image has 40 x 30: width and height are exchanged; the image's size"));
    const Dataset scaled = maker.read(true);
    REQUIRE(count_faults(scaled.faults) == 2);
    CHECK(contains(scaled.faults[0].what, "exchanged; its boxes are not scaled"));
    CHECK(contains(scaled.faults[1].what, "exchanged; its boxes are scaled as if they were not"));
    CHECK(scaled.samples[0].objects.at(0).box == Box{10, 4, 40, 20});
    CHECK(scaled.samples[1].objects.at(0).box == Box{5, 2, 20, 10});
  }
}

TEST_CASE("rescale: annotations without a size are left alone") {
  const Maker maker({{0, 0}, {0, 0}, {0, 0}}, true);
  CHECK(maker.read(true).samples[0].objects.at(0).box == Box{10, 4, 40, 20});
  CHECK(maker.read(true).faults.empty());
}
