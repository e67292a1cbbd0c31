#include "eval/average_precision.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/error.h"

using namespace rcnn;

namespace {

bool near(double a, double b) { return std::abs(a - b) <= 1e-12; }

/// A box of 10 x 10 pixels in row `row` of a column of boxes that do not touch each other.
Box cell(int row) {
  const auto y = static_cast<float>(20 * row);
  return {0, y, 10, y + 10};
}

Dataset dataset_of(std::vector<std::vector<Object>> images,
                   std::vector<std::string> classes = {"cat", "dog"}) {
  Dataset dataset;
  dataset.classes = std::move(classes);
  for (std::vector<Object>& objects : images) {
    Sample sample;
    sample.objects = std::move(objects);
    dataset.samples.push_back(std::move(sample));
  }
  return dataset;
}

/// The result for one image with `truths` cats and detections of cats by descending score: 'r' finds the next
/// truth, 'w' finds none.
ClassResult result_of(int truths, const std::string& outcomes) {
  std::vector<Object> objects;
  for (int row = 0; row < truths; ++row) objects.push_back({cell(row), 1});
  std::vector<Detection> detections;
  int row = 0;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const float score = 1.0F - 0.01F * static_cast<float>(i);
    detections.push_back({0, 1, score, outcomes[i] == 'r' ? cell(row++) : cell(1000)});
  }
  return evaluate_voc(detections, dataset_of({objects})).classes[0];
}

using Floats = std::vector<float>;

}  // namespace

TEST_CASE("average precision: a curve worked out by hand") {
  // Four truths, and detections that are right, wrong, right, wrong, wrong, right: precision is 1, 1/2, 2/3,
  // 1/2, 2/5, 3/6 at recall 1/4, 1/4, 2/4, 2/4, 2/4, 3/4. Made monotone it is 1, 2/3, 2/3, 1/2, 1/2, 1/2.
  const ClassResult result = result_of(4, "rwrwwr");
  CHECK(result.name == "cat");
  CHECK(result.truths == 4);
  CHECK(result.detections == 6);
  CHECK(result.precision == Floats{1, 0.5F, 2.0F / 3, 0.5F, 0.4F, 0.5F});
  CHECK(result.recall == Floats{0.25F, 0.25F, 0.5F, 0.5F, 0.5F, 0.75F});
  CHECK(result.score.size() == 6);
  CHECK(result.score[1] == 0.99F);
  CHECK(near(result.ap_area, 0.25 * 1 + 0.25 * 2 / 3 + 0.25 * 0.5));
  // Precision is 1 at recall 0, .1, .2; 2/3 at .3, .4, .5; 1/2 at .6, .7; recall .8, .9, 1 is never reached.
  CHECK(near(result.ap_11point, (3 * 1 + 3 * 2.0 / 3 + 2 * 0.5) / 11));
}

TEST_CASE("average precision: all detections right, all wrong, and none") {
  CHECK(near(result_of(3, "rrr").ap_area, 1));
  CHECK(near(result_of(3, "rrr").ap_11point, 1));
  CHECK(near(result_of(3, "rrrwwww").ap_area, 1));
  CHECK(near(result_of(3, "www").ap_area, 0));
  CHECK(near(result_of(3, "www").ap_11point, 0));
  CHECK(near(result_of(3, "").ap_area, 0));
  CHECK(near(result_of(3, "").ap_11point, 0));
  // Precision rises to 2/4 at the end, so the monotone curve is 1/2 everywhere.
  CHECK(near(result_of(2, "wwrr").ap_area, 0.5));
  CHECK(near(result_of(2, "wwrr").ap_11point, 0.5));
}

TEST_CASE("average precision: a recall that equals one of the eleven points") {
  // 5 * 0.1 equals 1/2 exactly; 3/5 lies slightly below 6 * 0.1 (see mean_at_eleven_points).
  CHECK(near(result_of(2, "r").ap_11point, 6.0 / 11));
  CHECK(near(result_of(5, "rrr").ap_11point, 6.0 / 11));
  CHECK(near(result_of(5, "rrrr").ap_11point, 9.0 / 11));
  CHECK(near(result_of(10, "rrr").ap_11point, 3.0 / 11));
  CHECK(near(result_of(10, "rrrr").ap_11point, 5.0 / 11));
}

TEST_CASE("average precision: overlap is continuous, and an overlap of a half is enough") {
  const Dataset dataset = dataset_of({{{{0, 0, 10, 10}, 1}}});
  const auto ap = [&](const Box& box, double threshold) {
    return evaluate_voc({{0, 1, 0.5F, box}}, dataset, threshold).map_area;
  };
  CHECK(ap({0, 0, 5, 10}, 0.5) == 1);  // 50 / 100; counting pixels (width + 1) would give 66 / 121
  CHECK(ap({0, 0, 4.99F, 10}, 0.5) == 0);
  CHECK(ap({0, 0, 10, 20}, 0.5) == 1);  // 100 / 200
  CHECK(ap({5, 0, 15, 10}, 0.5) == 0);  // 50 / 150
  CHECK(ap({5, 0, 15, 10}, 0.3) == 1);
  CHECK(ap({10, 0, 20, 10}, 0.001) == 0);  // they only touch
  CHECK(ap({10, 10, 0, 0}, 0.5) == 0);     // reversed
  CHECK(ap({NAN, 0, 10, 10}, 0.5) == 0);
}

TEST_CASE("average precision: a second detection of the same object is wrong") {
  const Dataset dataset = dataset_of({{{cell(0), 1}, {cell(1), 1}}});
  const VocResult result =
      evaluate_voc({{0, 1, 0.9F, cell(0)}, {0, 1, 0.8F, cell(0)}, {0, 1, 0.7F, cell(1)}}, dataset);
  CHECK(result.classes[0].precision == Floats{1, 0.5F, 2.0F / 3});
  CHECK(result.classes[0].recall == Floats{0.5F, 0.5F, 1});
}

TEST_CASE("average precision: a detection is not matched to its second-best object") {
  // The second detection overlaps the first truth by .9 and the other by .6; the first truth is taken.
  const Dataset dataset = dataset_of({{{{0, 0, 10, 10}, 1}, {{0, 3, 10, 13}, 1}}});
  const std::vector<Detection> detections = {{0, 1, 0.9F, {0, 0, 10, 10}},
                                             {0, 1, 0.8F, {0, 0.5F, 10, 10.5F}}};
  CHECK(evaluate_voc(detections, dataset).classes[0].recall == Floats{0.5F, 0.5F});
}

TEST_CASE("average precision: difficult objects and crowds are neither found nor missed") {
  Object ignored{cell(0), 1};
  SUBCASE("difficult") { ignored.difficult = true; }
  SUBCASE("crowd") { ignored.crowd = true; }
  const Dataset dataset = dataset_of({{ignored, {cell(1), 1}}});
  const VocResult result = evaluate_voc(
      {{0, 1, 0.9F, cell(0)}, {0, 1, 0.8F, cell(0)}, {0, 1, 0.7F, cell(1)}, {0, 1, 0.6F, cell(5)}}, dataset);
  const ClassResult& cat = result.classes[0];
  CHECK(cat.truths == 1);
  CHECK(cat.detections == 4);
  CHECK(cat.precision == Floats{1, 0.5F});
  CHECK(cat.recall == Floats{1, 1});
  CHECK(cat.score == Floats{0.7F, 0.6F});
  CHECK(cat.ap_area == 1);
}

TEST_CASE("average precision: image and label must both agree") {
  const Dataset dataset = dataset_of({{{cell(0), 1}}, {{cell(0), 2}}, {}});
  const auto map = [&](std::vector<Detection> detections) {
    return evaluate_voc(detections, dataset).map_area;
  };
  CHECK(map({{0, 1, 0.5F, cell(0)}}) == 0.5);
  CHECK(map({{0, 1, 0.5F, cell(0)}, {1, 2, 0.5F, cell(0)}}) == 1);
  CHECK(map({{1, 1, 0.5F, cell(0)}, {0, 2, 0.5F, cell(0)}}) == 0);
  CHECK(map({{2, 1, 0.5F, cell(0)}}) == 0);  // an image without objects
  CHECK(map({}) == 0);
}

TEST_CASE("average precision: the mean is over the classes that have objects") {
  const Dataset dataset =
      dataset_of({{{cell(0), 1}, {cell(1), 3, true}}}, {"cat", "dog", "only difficult", "rat"});
  const VocResult result =
      evaluate_voc({{0, 1, 0.9F, cell(0)}, {0, 2, 0.9F, cell(0)}, {0, 3, 0.9F, cell(1)}}, dataset);
  CHECK(result.map_area == 1);
  CHECK(result.map_11point == 1);
  REQUIRE(result.classes.size() == 4);
  CHECK(result.classes[1].truths == 0);
  CHECK(result.classes[1].ap_area == 0);
  CHECK(result.classes[1].precision == Floats{0});
  CHECK(result.classes[1].recall == Floats{0});
  CHECK(result.classes[2].truths == 0);
  CHECK(result.classes[2].precision.empty());
  CHECK(result.classes[3].name == "rat");

  const VocResult nothing = evaluate_voc({}, dataset_of({{}}));
  CHECK(nothing.map_area == 0);
  CHECK(nothing.map_11point == 0);
}

TEST_CASE("average precision: detections of equal score are ordered by image, then by position") {
  // Of the detections with score .5, those of image 0 come first (right, wrong), then those of image 1
  // (wrong, right).
  const Dataset dataset = dataset_of({{{cell(0), 1}}, {{cell(0), 1}}});
  const std::vector<Detection> detections = {{1, 1, 0.5F, cell(9)},
                                             {0, 1, 0.5F, cell(0)},
                                             {1, 1, 0.5F, cell(0)},
                                             {0, 1, 0.5F, cell(9)},
                                             {1, 1, 0.9F, cell(8)}};
  CHECK(evaluate_voc(detections, dataset).classes[0].precision == Floats{0, 0.5F, 1.0F / 3, 0.25F, 0.4F});
  CHECK(evaluate_voc(detections, dataset).classes[0].recall == Floats{0, 0.5F, 0.5F, 0.5F, 1});
}

TEST_CASE("average precision: invalid detections are refused") {
  const Dataset dataset = dataset_of({{{cell(0), 1}}});
  for (const Detection& detection :
       {Detection{1, 1, 0.5F, cell(0)}, Detection{-1, 1, 0.5F, cell(0)}, Detection{0, 0, 0.5F, cell(0)},
        Detection{0, 3, 0.5F, cell(0)}, Detection{0, 1, std::numeric_limits<float>::quiet_NaN(), cell(0)}})
    CHECK_THROWS_AS(evaluate_voc({detection}, dataset), Error);
}
