#include "eval/coco_metrics.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "eval/detect.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

struct Place {
  double x, y, width, height;
};

/// An annotation, by default of image 1 and category 1, with the area of its box.
CocoAnnotation truth(const Place& box, int64_t image = 1, int64_t category = 1) {
  return {image, category, box.x, box.y, box.width, box.height, box.width * box.height};
}

CocoAnnotation crowd(const Place& box) {
  CocoAnnotation annotation = truth(box);
  annotation.crowd = true;
  return annotation;
}

CocoResult found(const Place& box, double score, int64_t image = 1, int64_t category = 1) {
  return {image, category, box.x, box.y, box.width, box.height, score};
}

CocoFigures figures(const std::vector<CocoAnnotation>& annotations, const std::vector<CocoResult>& results) {
  return evaluate_coco(annotations, results).mean;
}

doctest::Approx near(double value) { return doctest::Approx(value).epsilon(1e-13); }

const Place kA{10, 10, 40, 40}, kB{110, 10, 40, 40}, kC{210, 10, 40, 40}, kNowhere{10, 210, 40, 40};

}  // namespace

TEST_CASE("coco metrics: an exact detection is right at all thresholds, and counts only for its size") {
  const CocoFigures f = figures({truth(kA)}, {found(kA, 0.3)});
  for (const double value : {f.ap, f.ap50, f.ap75, f.ap_medium, f.ar1, f.ar10, f.ar100, f.ar_medium})
    CHECK(value == near(1));
  for (const double value : {f.ap_small, f.ap_large, f.ar_small, f.ar_large}) CHECK(value == -1);
}

TEST_CASE("coco metrics: an overlap of exactly a threshold is enough") {
  for (int h = 10; h <= 20; ++h) {  // overlaps of .5, .55, ..., .95, 1
    CAPTURE(h);
    const CocoFigures f = figures({truth({0, 0, 20, 20})}, {found({0, 0, 20, static_cast<double>(h)}, 0.5)});
    const double thresholds = std::min(h - 9, 10);
    CHECK(f.ap == near(thresholds / 10));
    CHECK(f.ar100 == near(thresholds / 10));
    CHECK(f.ap50 == near(1));
    CHECK(f.ap75 == near(h >= 15 ? 1 : 0));
  }
  CHECK(figures({truth({0, 0, 20, 20})}, {found({0, 0, 20, 9.99}, 0.5)}).ap50 == 0);
}

TEST_CASE("coco metrics: precision and recall at 101 points") {
  // Wrong, then right: precision is 1/2 at every recall.
  CHECK(figures({truth(kA)}, {found(kNowhere, 0.9), found(kA, 0.8)}).ap == near(0.5));
  // One of two is found: the points 0, .01, ..., .50 are reached.
  CHECK(figures({truth(kA), truth(kB)}, {found(kA, 0.9)}).ap == near(51.0 / 101));
  // Right, wrong, right: precision is 1 up to recall 1/2, then 2/3.
  const CocoFigures f =
      figures({truth(kA), truth(kB)}, {found(kB, 0.1), found(kA, 0.9), found(kNowhere, 0.5)});
  CHECK(f.ap == near((51 + 50 * 2.0 / 3) / 101));
  CHECK(f.ar100 == near(1));
}

TEST_CASE("coco metrics: a truth is matched once, and a detection takes the last of equal overlaps") {
  CHECK(figures({truth(kA), truth(kB)}, {found(kA, 0.9), found(kA, 0.8), found(kB, 0.7)}).ap ==
        near((51 + 50 * 2.0 / 3) / 101));
  // The first detection lies midway between two truths (overlap 30/50 each) and takes the later one. The
  // second detection, which fits only that one, is then wrong.
  const std::vector<CocoAnnotation> pair = {truth({0, 0, 40, 40}), truth({20, 0, 40, 40})};
  const CocoFigures f = figures(pair, {found({10, 0, 40, 40}, 0.9), found({20, 0, 40, 40}, 0.8)});
  CHECK(f.ap50 == near(51.0 / 101));
}

TEST_CASE("coco metrics: a crowd matches any number of detections, by the share that lies in it") {
  const CocoAnnotation people = crowd({100, 0, 200, 100});
  CHECK(figures({people}, {found(kB, 0.9)}).ap == -1);
  CHECK(figures({people, truth(kA)}, {found(kB, 0.9), found(kC, 0.8), found(kB, 0.7), found(kA, 0.6)}).ap ==
        near(1));
  // A detection with half its area in the crowd is ignored at .5, and wrong at the nine thresholds above.
  const CocoFigures half = figures({people, truth(kA)}, {found({80, 10, 40, 40}, 0.9), found(kA, 0.6)});
  CHECK(half.ap50 == near(1));
  CHECK(half.ap == near((1 + 9 * 0.5) / 10));
  // A single object takes precedence, although the overlap with the crowd is larger.
  const CocoFigures own = figures({people, truth(kB)}, {found({110, 10, 40, 50}, 0.9)});
  CHECK(own.ap50 == near(1));
}

TEST_CASE("coco metrics: an ignored object matches one detection, by the usual overlap") {
  CocoAnnotation ignored = truth(kB);
  ignored.ignore = true;
  CHECK(figures({ignored}, {found(kB, 0.9)}).ap == -1);
  CHECK(figures({ignored, truth(kA)}, {found(kB, 0.9), found(kA, 0.8)}).ap == near(1));
  CHECK(figures({ignored, truth(kA)}, {found(kB, 0.9), found(kB, 0.85), found(kA, 0.8)}).ap == near(0.5));
  CHECK(figures({ignored, truth(kA)}, {found({110, 10, 40, 10}, 0.9), found(kA, 0.8)}).ap == near(0.5));
}

TEST_CASE("coco metrics: areas of exactly 32^2 and 96^2 belong to both sizes") {
  const auto of_area = [](double area) {
    CocoAnnotation annotation = truth(kA);
    annotation.area = area;
    return figures({annotation}, {found(kA, 0.5)});
  };
  const auto sizes = [&](double area) {
    const CocoFigures f = of_area(area);
    return std::vector<bool>{f.ap_small > 0, f.ap_medium > 0, f.ap_large > 0,
                             f.ar_small > 0, f.ar_medium > 0, f.ar_large > 0};
  };
  using Bools = std::vector<bool>;
  CHECK(sizes(1023.9) == Bools{true, false, false, true, false, false});
  CHECK(sizes(1024) == Bools{true, true, false, true, true, false});
  CHECK(sizes(1024.1) == Bools{false, true, false, false, true, false});
  CHECK(sizes(9216) == Bools{false, true, true, false, true, true});
  CHECK(sizes(9216.1) == Bools{false, false, true, false, false, true});
}

TEST_CASE("coco metrics: a wrong detection counts only for its own size") {
  const Place small{0, 0, 20, 20}, large{200, 200, 100, 100};
  const CocoFigures f = figures({truth(small)}, {found(large, 0.9), found(small, 0.5)});
  CHECK(f.ap == near(0.5));
  CHECK(f.ap_small == near(1));
  // 32 x 32 belongs to both sizes.
  CHECK(figures({truth(small)}, {found({200, 200, 32, 32}, 0.9), found(small, 0.5)}).ap_small == near(0.5));
}

TEST_CASE("coco metrics: recall with the 1, 10 and 100 best detections per class and image") {
  const auto at_place = [](int place) {
    std::vector<CocoResult> results = {found(kA, 0.5)};
    for (int i = 1; i < place; ++i) results.push_back(found(kNowhere, 0.9));
    return figures({truth(kA)}, results);
  };
  CHECK(at_place(1).ar1 == near(1));
  CHECK(at_place(2).ar1 == 0);
  CHECK(at_place(10).ar10 == near(1));
  CHECK(at_place(11).ar10 == 0);
  CHECK(at_place(100).ar100 == near(1));
  CHECK(at_place(100).ap == near(0.01));
  CHECK(at_place(101).ar100 == 0);
  CHECK(at_place(101).ap == 0);
  // Three detections in one image and one in another: the best of each image find 2 of 4 truths.
  const CocoFigures f = figures({truth(kA), truth(kB), truth(kC), truth(kA, 2)},
                                {found(kA, 0.1), found(kB, 0.9), found(kC, 0.5), found(kA, 0.4, 2)});
  CHECK(f.ar1 == near(0.5));
  CHECK(f.ar10 == near(1));
}

TEST_CASE("coco metrics: equal scores are ordered by image number, then as given") {
  const std::vector<CocoAnnotation> annotations = {truth(kA, 8)};
  const CocoResult right = found(kA, 0.5, 8);
  CHECK(figures(annotations, {right, found(kA, 0.5, 7)}).ap == near(0.5));
  CHECK(figures(annotations, {found(kA, 0.5, 9), right}).ap == near(1));
  CHECK(figures(annotations, {right, found(kB, 0.5, 8)}).ap == near(1));
  CHECK(figures(annotations, {found(kB, 0.5, 8), right}).ap == near(0.5));
}

TEST_CASE("coco metrics: the mean is over the categories that have objects") {
  // Category 1 is found, -5 is not, 3 has only a crowd, 4 only detections.
  CocoAnnotation only_crowd = crowd(kA);
  only_crowd.category = 3;
  const CocoScores scores = evaluate_coco({truth(kA), truth(kA, 1, -5), only_crowd},
                                          {found(kA, 0.5), found(kA, 0.9, 1, 4), found(kA, 0.9, 1, 3)});
  CHECK(scores.mean.ap == near(0.5));
  CHECK(scores.by_category.size() == 3);
  CHECK(scores.by_category.at(1).ap == near(1));
  CHECK(scores.by_category.at(-5).ap == 0);
  CHECK(scores.by_category.at(3).ap == -1);
}

TEST_CASE("coco metrics: no objects, no detections, and scores that are not finite") {
  for (const CocoFigureName& figure : kCocoFigures) {
    CHECK(figures({}, {}).*figure.value == -1);
    CHECK(figures({}, {found(kA, 0.5)}).*figure.value == -1);
  }
  const CocoFigures none = figures({truth(kA)}, {});
  CHECK(none.ap == 0);
  CHECK(none.ar100 == 0);
  CHECK_THROWS_AS(figures({truth(kA)}, {found(kA, std::numeric_limits<double>::quiet_NaN())}), Error);
  CHECK(figures({truth(kA)}, {found(kA, -INFINITY)}).ap == near(1));
}

TEST_CASE("coco metrics: the table has a dash for metrics without objects") {
  const std::string table = coco_table(figures({truth(kA)}, {found({10, 10, 40, 30}, 0.5)}));
  CHECK(std::count(table.begin(), table.end(), '\n') == 12);
  CHECK(contains(table, "AP     0.6000\n"));
  CHECK(contains(table, "APs         -\n"));
}

namespace {

/// A dataset of two images, with or without COCO's numbers.
Dataset small_dataset(bool with_numbers) {
  Dataset data;
  data.classes = {"cat", "dog"};
  data.samples = {{"one", "photos/one.jpg", 100, 80, {{{1, 2, 11, 32}, 2, true}, {{1.5f, 2, 6, 7}, 1}}},
                  {"two", "photos/two.jpg", 100, 80, {{{0, 0, 9, 9}, 2, false, true, 55.5}}}};
  if (with_numbers) {
    data.category_ids = {0, 44};
    data.samples[0].coco_id = 900;
    data.samples[1].coco_id = 5000000000;
  }
  return data;
}

const std::vector<Detection> kDetections = {{1, 2, 0.7f, {0.1f, 0.2f, 9.3f, 9}},
                                            {0, 1, 0.3f, {1.5f, 2, 6, 7}}};

}  // namespace

TEST_CASE("coco metrics: the objects of a dataset become annotations") {
  const auto plain = coco_annotations(small_dataset(false));
  REQUIRE(plain.size() == 3);
  CHECK(plain[0].image == 0);
  CHECK(plain[0].category == 2);
  CHECK(plain[0].x == 1);
  CHECK(plain[0].width == 10);
  CHECK(plain[0].height == 30);
  CHECK(plain[0].area == 300);
  CHECK(plain[0].ignore);
  CHECK_FALSE(plain[0].crowd);
  CHECK(plain[2].image == 1);
  CHECK(plain[2].crowd);
  CHECK_FALSE(plain[2].ignore);
  CHECK(plain[2].area == 55.5);
  const auto numbered = coco_annotations(small_dataset(true));
  CHECK(numbered[1].image == 900);
  CHECK(numbered[1].category == 0);
  CHECK(numbered[2].image == 5000000000);
  CHECK(numbered[2].category == 44);
  CHECK(evaluate_coco(kDetections, small_dataset(false)).mean.ap == near(1));  // the others are ignored
}

TEST_CASE("coco metrics: detections written to a results file are read back unchanged") {
  for (const bool with_numbers : {false, true}) {
    CAPTURE(with_numbers);
    const Dataset data = small_dataset(with_numbers);
    const TemporaryFolder folder;
    write_detections(folder / "found.json", kDetections, data.samples, data.classes, data.category_ids);
    const std::vector<CocoResult> read = read_coco_results(folder / "found.json", coco_numbers(data));
    const std::vector<CocoResult> expected = coco_results(kDetections, data);
    REQUIRE(read.size() == 2);
    for (size_t i = 0; i < 2; ++i) {
      CHECK(read[i].image == expected[i].image);
      CHECK(read[i].category == expected[i].category);
      CHECK(read[i].x == expected[i].x);
      CHECK(read[i].width == expected[i].width);
      CHECK(read[i].score == expected[i].score);
    }
    const std::vector<Detection> back = detections_of(read, data);
    REQUIRE(back.size() == 2);
    CHECK(back[0].image == 1);
    CHECK(back[0].label == 2);
    CHECK(back[0].score == 0.7f);
    CHECK(back[0].box == kDetections[0].box);

    const auto json = nlohmann::json::parse(std::ifstream(folder / "found.json"));
    if (with_numbers) {
      CHECK(json[0]["image_id"] == 5000000000);
      CHECK(json[0]["category_id"] == 44);
    } else {
      CHECK(json[0]["image_id"] == "two");
      CHECK(json[0]["category_id"] == 2);
    }
    CHECK(json[0]["file_name"] == "two.jpg");
    CHECK(json[0]["category_name"] == "dog");
  }
  CHECK(detections_of({found(kA, 0.5, 900, 3), found(kA, 0.5, 7, 44)}, small_dataset(true)).empty());
}

TEST_CASE("coco metrics: a real file gives the same figures as pycocotools") {
  const std::filesystem::path folder = real_data("coco_eval");
  if (folder.empty()) return;
  const CocoFile file = read_coco_file(folder / "instances_val2014_100.json");
  CHECK(file.faults.empty());
  const CocoFigures f =
      figures(file.annotations, read_coco_results(folder / "instances_val2014_fakebbox100_results.json"));
  const double expected[12] = {.504581, .696973, .572982, .585626, .519400, .501398,
                               .386813, .593680, .595353, .639811, .566420, .564291};
  for (size_t i = 0; i < 12; ++i) {
    CAPTURE(kCocoFigures[i].key);
    CHECK(std::fabs(f.*kCocoFigures[i].value - expected[i]) <= 1e-6);
  }
}
