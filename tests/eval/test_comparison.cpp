// Two detectors compared: figures and intervals with known values.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/parallel.h"
#include "core/rng.h"
#include "eval/coco_metrics.h"
#include "eval/columns.h"
#include "eval/comparison.h"
#include "tests/data/fixtures.h"
#include "tests/eval/diagnosis_fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

Findings findings(std::vector<Detection> detections, const Dataset& dataset) {
  std::vector<CocoResult> results = coco_results(detections, dataset);
  return {std::move(detections), std::move(results)};
}

Comparison compared(const std::vector<Detection>& a, const std::vector<Detection>& b, const Dataset& dataset,
                    uint64_t seed = 0) {
  return compare(findings(a, dataset), findings(b, dataset), dataset, coco_annotations(dataset), seed);
}

/// A dataset with objects of three classes and sizes, and detections of it that are partly wrong, missing,
/// repeated or of other classes.
struct RandomCase {
  Dataset dataset;
  std::vector<Detection> detections;

  RandomCase(uint32_t seed, size_t images, uint32_t quality) {
    RandomSequence random(7, Purpose::test);  // the same objects for each seed
    dataset = dataset_of(std::vector<std::vector<Object>>(images), {"a", "b", "c"});
    for (Sample& sample : dataset.samples)
      for (uint32_t k = random.below(5); k > 0; --k) {
        const float x = static_cast<float>(random.below(300)), y = static_cast<float>(random.below(300)),
                    size = 10 + static_cast<float>(random.below(150));
        sample.objects.push_back({{x, y, x + size, y + size},
                                  1 + static_cast<int>(random.below(3)),
                                  random.below(9) == 0,
                                  random.below(9) == 0});
      }
    RandomSequence noise(seed, Purpose::test);
    for (size_t i = 0; i < images; ++i)
      for (const Object& object : dataset.samples[i].objects)
        for (uint32_t k = noise.below(3); k > 0; --k) {
          Box box = object.box;
          box.x2 += static_cast<float>(noise.below(quality));
          const int label = noise.below(5) == 0 ? 1 + static_cast<int>(noise.below(3)) : object.label;
          // All scores differ, as the copies of an image must not be mixed up.
          const float score = (noise.uniform() + static_cast<float>(detections.size())) / 1000;
          detections.push_back({static_cast<int>(i), label, score, box});
        }
  }
};

/// Whether each of kComparedFigures, and then of the classes' figures, has an interval: enough images have
/// objects that count for it.
std::vector<bool> with_interval(const std::vector<Detection>& detections, const Dataset& dataset) {
  std::vector<bool> enough;
  const WeightedFigures figures(findings(detections, dataset), dataset, coco_annotations(dataset));
  for (const size_t images : figures.images_with_objects()) enough.push_back(images >= kMinComparedImages);
  return enough;
}

/// kComparedFigures and the classes' figures by the evaluators themselves.
std::vector<double> evaluated(const std::vector<Detection>& detections, const Dataset& dataset) {
  const VocResult voc = evaluate_voc(detections, dataset);
  const CocoFigures coco = evaluate_coco(detections, dataset).mean;
  std::vector<double> figures = {voc.map_area,  coco.ap,        coco.ap50,    coco.ar100,
                                 coco.ap_small, coco.ap_medium, coco.ap_large};
  for (const ClassResult& c : voc.classes) figures.push_back(c.truths == 0 ? -1 : c.ap_area);
  return figures;
}

std::vector<double> weighted(const std::vector<Detection>& detections, const Dataset& dataset,
                             const std::vector<uint32_t>& weights) {
  std::vector<double> figures =
      WeightedFigures(findings(detections, dataset), dataset, coco_annotations(dataset)).at(weights);
  for (double& figure : figures)
    if (std::isnan(figure)) figure = -1;
  return figures;
}

}  // namespace

TEST_CASE("comparison: with weights of one the figures are those of the evaluators, bit for bit") {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const RandomCase test(seed, 12, 40);
    CHECK(weighted(test.detections, test.dataset, std::vector<uint32_t>(12, 1)) ==
          evaluated(test.detections, test.dataset));
  }
}

TEST_CASE("comparison: an image of weight w counts like w copies of it, and one of weight 0 is not there") {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const RandomCase test(seed, 12, 40);
    RandomSequence random(seed, Purpose::test, 1);
    std::vector<uint32_t> weights;
    Dataset copies;
    copies.classes = test.dataset.classes;
    std::vector<Detection> detections;
    for (size_t i = 0; i < 12; ++i) {
      weights.push_back(random.below(4));
      for (uint32_t k = 0; k < weights.back(); ++k) {
        for (Detection detection : test.detections) {
          if (detection.image != static_cast<int>(i)) continue;
          detection.image = static_cast<int>(copies.samples.size());
          detections.push_back(detection);
        }
        copies.samples.push_back(test.dataset.samples[i]);
      }
    }
    const std::vector<double> of_weights = weighted(test.detections, test.dataset, weights),
                              of_copies = evaluated(detections, copies);
    REQUIRE(of_weights.size() == of_copies.size());
    for (size_t i = 0; i < of_weights.size(); ++i) {
      CAPTURE(i);
      CHECK(std::abs(of_weights[i] - of_copies[i]) <= 1e-12);
    }
  }
}

TEST_CASE("comparison: figures that can be worked out by hand") {
  // Eight images with a small cat each, and a dog in one of them. A finds four cats, B six and, with a score
  // between them, a cat where there is none. B finds the dog.
  std::vector<std::vector<Object>> images(8, {{cell(0), kCat}});
  images[0].push_back({cell(1), kDog});
  const Dataset dataset = dataset_of(images);
  std::vector<Detection> a, b;
  for (int i = 0; i < 6; ++i) {
    if (i < 4) a.push_back({i, kCat, 0.9F - 0.1F * static_cast<float>(i), cell(0)});
    b.push_back({i, kCat, 0.9F - 0.1F * static_cast<float>(i), cell(0)});
  }
  b.push_back({7, kCat, 0.65F, cell(5)});  // after three that are right
  b.push_back({0, kDog, 0.5F, cell(1)});
  const Comparison comparison = compared(a, b, dataset);
  const auto near = [](double value) { return doctest::Approx(value).epsilon(1e-12); };
  // B's precision is 1 up to a recall of 3/8, and 6/7 up to 6/8.
  const double cats = (3 + 3 * 6.0 / 7) / 8;
  CHECK(comparison.classes[0].a == near(0.5));
  CHECK(comparison.classes[0].b == near(cats));
  CHECK(comparison.classes[1].a == 0);
  CHECK(comparison.classes[1].b == near(1));
  CHECK(comparison.figures[0].a == near(0.25));
  CHECK(comparison.figures[0].b == near((cats + 1) / 2));
  CHECK(comparison.figures[3].b == near((0.75 + 1) / 2));     // AR
  CHECK(comparison.figures[4].b == comparison.figures[1].b);  // all objects are small
  CHECK(std::isnan(comparison.figures[5].a));
  CHECK_FALSE(comparison.figures[5].has_interval());
  CHECK(comparison.classes[0].has_interval());
  CHECK_FALSE(comparison.classes[1].has_interval());  // there are dogs on one image only
  // At the recommended thresholds, which keep everything, B has fewer errors on 0 (the dog), 4 and 5, and on
  // 7 one more: a cat that is not there.
  CHECK(comparison.won == std::vector<int>{0, 4, 5});
  CHECK(comparison.lost == std::vector<int>{7});
  CHECK(errors_of(comparison.b[7]) == 2);
  CHECK(comparison.b[7].reasons.size() == 2);
  CHECK(errors_of(comparison.a[6]) == 1);
  CHECK(contains(images_sentence(comparison), "on 3 of 8 images and A on 1; on 4 they"));
}

TEST_CASE("comparison: a detector against itself differs by exactly 0, from 0 to 0") {
  const RandomCase test(3, 20, 40);
  const Comparison comparison = compared(test.detections, test.detections, test.dataset);
  const std::vector<bool> enough = with_interval(test.detections, test.dataset);
  REQUIRE(enough.size() == comparison.figures.size() + comparison.classes.size());
  CHECK(std::count(enough.begin(), enough.end(), false) <= 1);  // there are few small objects
  size_t i = 0;
  for (const std::vector<Difference>* all : {&comparison.figures, &comparison.classes})
    for (const Difference& d : *all) {
      CAPTURE(i);
      CHECK(d.a == d.b);
      CHECK(d.has_interval() == enough[i]);
      if (enough[i]) {
        CHECK(d.low == 0);
        CHECK(d.high == 0);
      }
      ++i;
    }
  CHECK(comparison.won.empty());
  CHECK(comparison.lost.empty());
  CHECK(verdict(comparison) ==
        "A and B are the same on these images: all figures are equal, and so are the errors on each image.");
  const std::string text = comparison_text(comparison, test.dataset);
  CHECK(contains(text, " 0.0000  0.0000 to 0.0000    equal\n"));
  CHECK_FALSE(contains(text, "undecided"));
}

TEST_CASE("comparison: an equal mAP@.5 of detectors that differ elsewhere is not called the same") {
  // B's boxes overlap the objects less, but by more than .5.
  const Dataset dataset = dataset_of(std::vector<std::vector<Object>>(8, {{cell(0), kCat}}), {"cat"});
  std::vector<Detection> a, b;
  for (int i = 0; i < 8; ++i) {
    a.push_back({i, kCat, 0.5F, cell(0)});
    Box box = cell(0);
    box.x2 -= 0.3F * (box.x2 - box.x1);
    b.push_back({i, kCat, 0.5F, box});
  }
  const Comparison comparison = compared(a, b, dataset);
  CHECK(comparison.figures[0].is_equal());
  CHECK(comparison.figures[0].better() == "equal");
  CHECK(comparison.figures[1].better() == "A");
  CHECK(contains(verdict(comparison), "by mAP@.5: it is 1.0000 for both, and equal on every draw"));
}

TEST_CASE("comparison: exchanging the two turns every interval round, and the threads change nothing") {
  const RandomCase a(1, 20, 60), b(2, 20, 20);
  const Comparison there = compared(a.detections, b.detections, a.dataset, 5),
                   back = compared(b.detections, a.detections, a.dataset, 5);
  const int before = thread_count();
  set_thread_count(1);
  const Comparison alone = compared(a.detections, b.detections, a.dataset, 5);
  set_thread_count(before);
  const std::vector<bool> enough = with_interval(a.detections, a.dataset);
  REQUIRE(enough.size() >= there.figures.size());
  CHECK(std::count(enough.begin(), enough.end(), false) <= 1);  // there are few small objects
  for (size_t i = 0; i < there.figures.size(); ++i) {
    CAPTURE(i);
    for (const Comparison* one : {&there, &back, &alone}) CHECK(one->figures[i].has_interval() == enough[i]);
    if (!enough[i]) continue;
    CHECK(there.figures[i].low == doctest::Approx(-back.figures[i].high).epsilon(1e-6));
    CHECK(there.figures[i].high == doctest::Approx(-back.figures[i].low).epsilon(1e-6));
    CHECK(there.figures[i].low == alone.figures[i].low);
    CHECK(there.figures[i].high == alone.figures[i].high);
    CHECK(there.figures[i].low < there.figures[i].high);
  }
  CHECK(there.won == back.lost);
  const Comparison other = compared(a.detections, b.detections, a.dataset, 6);
  CHECK(other.figures[0].low != there.figures[0].low);
  CHECK(std::abs(other.figures[0].low - there.figures[0].low) < 0.05);
}

TEST_CASE("comparison: the interval holds the true difference about as often as it says") {
  // One object per image; A finds it with a probability of .5, B with .7, and nothing is ever wrong. So
  // average precision is the share of the objects that is found, and the true difference is .2.
  const Dataset dataset = dataset_of(std::vector<std::vector<Object>>(60, {{cell(0), kCat}}), {"cat"});
  int holds = 0, holds_none = 0, decided = 0;
  for (uint32_t seed = 0; seed < 200; ++seed) {
    RandomSequence random(seed, Purpose::test);
    std::vector<Detection> a, b, c;
    for (int i = 0; i < 60; ++i) {
      if (random.uniform() < 0.5F) a.push_back({i, 1, 0.5F, cell(0)});
      if (random.uniform() < 0.7F) b.push_back({i, 1, 0.5F, cell(0)});
      if (random.uniform() < 0.5F) c.push_back({i, 1, 0.5F, cell(0)});
    }
    const Difference better = compared(a, b, dataset, seed).figures[0];
    holds += better.low <= 0.2 && better.high >= 0.2;
    decided += better.b_is_better();
    if (seed >= 100) continue;
    const Difference equal = compared(a, c, dataset, seed).figures[0];
    holds_none += equal.low <= 0 && equal.high >= 0;
  }
  CHECK(holds >= 180);
  CHECK(holds <= 199);  // an interval that is always right is too wide
  CHECK(holds_none >= 90);
  CHECK(holds_none <= 99);
  CHECK(decided >= 80);  // a difference of .2 has a standard error of about .09
}

TEST_CASE("comparison: a few images, none, or no objects give no interval, and a sentence that says so") {
  const auto cats = [](size_t images) {
    return dataset_of(std::vector<std::vector<Object>>(images, {{cell(0), kCat}}), {"cat"});
  };
  const auto found = [](int images) {
    std::vector<Detection> detections;
    for (int i = 0; i < images; ++i) detections.push_back({i, kCat, 0.5F, cell(0)});
    return detections;
  };
  const Comparison few = compared({}, found(5), cats(5));
  CHECK(few.figures[0].b == 1);
  CHECK_FALSE(few.figures[0].has_interval());
  CHECK_FALSE(few.figures[0].b_is_better());
  CHECK(contains(verdict(few), "fewer than 6 images have objects"));
  const Comparison enough = compared({}, found(6), cats(6));
  CHECK(enough.figures[0].b_is_better());
  CHECK(verdict(enough).starts_with("B is better than A: its mAP@.5 is higher by 1.0000"));
  CHECK(verdict(compared(found(6), {}, cats(6))).starts_with("A is better than B"));
  CHECK(contains(verdict(compared({}, {}, dataset_of({{}, {}}))), "no objects"));
  CHECK(contains(verdict(compared({}, {}, dataset_of({}))), "no objects"));
}

TEST_CASE("comparison: the text has at most 100 columns, and the JSON has every figure") {
  Dataset dataset = dataset_of(std::vector<std::vector<Object>>(8, {{cell(0), kCat}}),
                               {"a name that is far too long for a table in a terminal\x1b[31m", "nothing"});
  for (size_t i = 0; i < 8; ++i) dataset.samples[i].id = fmt::format("image {}", i);
  const Comparison comparison = compared({}, {{3, kCat, 0.5F, cell(0)}}, dataset);
  const std::string text = comparison_text(comparison, dataset);
  std::string line;
  for (const char c : text) {
    if (c != '\n') {
      line += c;
      continue;
    }
    CHECK(columns_of(line) <= 100);
    line.clear();
  }
  CHECK(line.empty());
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(contains(text, "undecided"));
  const size_t large = text.find("COCO AP, large objects");
  REQUIRE(large != std::string::npos);
  CHECK(contains(text.substr(large, text.find('\n', large) - large), "no objects"));
  CHECK_FALSE(contains(text, "nothing"));
  const auto json = to_json(comparison, dataset);
  CHECK(json["figures"].size() == kComparedFigures.size());
  CHECK(json["figures"]["map50"]["difference"] == 0.125);
  CHECK(json["figures"]["map50"]["low"] == 0);
  CHECK(json["figures"]["APl"]["a"].is_null());
  CHECK(json["ap50"].size() == 1);
  CHECK(json["won_by_b"].dump() == R"([{"image":"image 3","errors_a":1,"errors_b":0}])");
  CHECK(json["won_by_a"].empty());
}
