#include "eval/matching.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"

using namespace rcnn;

namespace {

Dataset one_image(std::vector<Object> objects) {
  Dataset dataset;
  dataset.classes = {"cat", "dog"};
  dataset.samples.resize(1);
  dataset.samples[0].objects = std::move(objects);
  return dataset;
}

Object crowd(const Box& box, int label = 1) { return {box, label, false, true}; }
Object difficult(const Box& box, int label = 1) { return {box, label, true}; }

/// Whether detections of cats in one image, given best first, are right, wrong or ignored: 'r', 'w' or 'i'.
std::string outcomes(const std::vector<Object>& objects, const std::vector<Box>& boxes) {
  const Dataset dataset = one_image(objects);
  std::vector<Detection> detections;
  for (const Box& box : boxes)
    detections.push_back({0, 1, 1.0F - 0.01F * static_cast<float>(detections.size()), box});
  std::string text;
  for (const Judgement& judgement : judge(detections, ranked(detections, dataset), dataset, 0.5))
    text += judgement.outcome == Outcome::right ? 'r' : judgement.outcome == Outcome::wrong ? 'w' : 'i';
  return text;
}

}  // namespace

TEST_CASE("matching: overlap is that of continuous boxes") {
  CHECK(overlap({0, 0, 10, 10}, {0, 0, 10, 10}) == 1);
  CHECK(overlap({0, 0, 10, 10}, {5, 0, 15, 10}) == 50.0 / 150);
  CHECK(overlap({0, 0, 10, 10}, {2, 2, 4, 7}) == 0.1);
  CHECK(overlap({0, 0, 10, 10}, {10, 0, 20, 10}) == 0);
  CHECK(overlap({10, 10, 0, 0}, {0, 0, 10, 10}) == 0);
  CHECK(overlap({3, 3, 3, 3}, {3, 3, 3, 3}) == 0);
  CHECK(overlap({NAN, 0, 10, 10}, {0, 0, 10, 10}) == 0);
  CHECK(overlap({0, 0, INFINITY, 10}, {0, 0, 10, 10}) == 0);
}

TEST_CASE("matching: the nearest object is of the same class, the first of equals, and not a crowd") {
  const std::vector<Object> objects = {crowd({0, 0, 10, 10}),
                                       {{0, 0, 10, 10}, 2},
                                       {{0, 0, 10, 8}, 1},
                                       {{0, 2, 10, 10}, 1},
                                       {{0, 0, 10, 9}, 1}};
  CHECK(nearest_object({0, 0, 10, 10}, 1, objects).object == 4);
  CHECK(nearest_object({0, 0, 10, 10}, 1, objects).overlap == 0.9);
  CHECK(nearest_object({0, 2, 10, 8}, 1, objects).object == 2);  // the overlap with object 3 is 60 / 80 too
  CHECK(nearest_object({0, 0, 10, 10}, 2, objects).object == 1);
  CHECK(nearest_object({20, 0, 30, 10}, 1, objects).object == -1);
  CHECK(nearest_object({20, 0, 30, 10}, 1, objects).overlap == 0);
  CHECK(nearest_object({NAN, 0, 10, 10}, 1, objects).object == -1);
  CHECK(nearest_object({0, 0, 10, 10}, 1, {}).object == -1);
}

TEST_CASE("matching: the first detection of an object is right, from an overlap of a half") {
  CHECK(outcomes({{{0, 0, 10, 10}, 1}}, {{0, 0, 10, 10}, {0, 0, 10, 10}}) == "rw");
  CHECK(outcomes({{{0, 0, 10, 10}, 1}}, {{0, 0, 10, 4.99F}, {0, 0, 10, 5}, {0, 0, 10, 10}}) == "wrw");
  CHECK(outcomes({{{0, 0, 10, 10}, 2}}, {{0, 0, 10, 10}}) == "w");
  CHECK(outcomes({}, {{0, 0, 10, 10}}) == "w");
}

TEST_CASE("matching: all detections of a difficult object are ignored") {
  CHECK(outcomes({difficult({0, 0, 10, 10})}, {{0, 0, 10, 10}, {0, 0, 10, 9}, {0, 0, 10, 4}}) == "iiw");
}

TEST_CASE("matching: in a crowd region a detection is ignored unless it belongs to an object") {
  const std::vector<Object> objects = {crowd({0, 0, 100, 100}), {{10, 10, 20, 20}, 1}};
  CHECK(outcomes(objects, {{10, 10, 20, 20}, {50, 50, 60, 60}, {70, 70, 80, 80}}) == "rii");
  CHECK(outcomes(objects, {{10, 10, 20, 20}, {10, 10, 20, 20}}) == "rw");  // the same object twice
  CHECK(outcomes({crowd({0, 0, 100, 100})}, {{95, 0, 105, 10}}) == "i");   // half of its area is inside
  CHECK(outcomes({crowd({0, 0, 100, 100})}, {{95.1F, 0, 105.1F, 10}}) == "w");
  CHECK(outcomes({crowd({0, 0, 100, 100})}, {{200, 0, 210, 10}}) == "w");
  CHECK(outcomes({crowd({0, 0, 100, 100})}, {{NAN, 0, 10, 10}}) == "w");
  CHECK(outcomes({crowd({0, 0, 100, 100}, 2)}, {{50, 50, 60, 60}}) == "w");  // of another class
}

TEST_CASE("matching: ignored objects are not counted") {
  const Dataset dataset = one_image(
      {{{0, 0, 1, 1}, 1}, {{0, 0, 1, 1}, 2}, crowd({0, 0, 1, 1}), difficult({0, 0, 1, 1}), {{}, 1}});
  CHECK(count_truths(1, dataset) == 2);
  CHECK(count_truths(2, dataset) == 1);
  CHECK(count_truths(3, dataset) == 0);
}

TEST_CASE("matching: detections are ranked by score, image and position") {
  Dataset dataset = one_image({});
  dataset.samples.resize(2);
  const std::vector<Detection> detections = {
      {1, 1, 0.5F, {}}, {0, 2, 0.5F, {}}, {0, 1, 0.5F, {}}, {1, 1, 0.9F, {}}, {0, 1, -1, {}}};
  CHECK(ranked(detections, dataset) == std::vector<size_t>{3, 1, 2, 0, 4});
  CHECK(ranked({}, dataset).empty());
}
