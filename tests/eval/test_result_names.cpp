// Results files name images and classes; every name must come back.
#include <doctest/doctest.h>

#include "core/text.h"
#include "data/coco.h"
#include "eval/coco_metrics.h"
#include "eval/detect.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

TEST_CASE("results: images whose file names are not UTF-8, or look as if they were escaped") {
  const TemporaryFolder folder;
  Dataset data;
  data.classes = {"\xE7\x8C\xAB"};
  std::vector<Detection> found;
  for (const std::string name : {"caf\xE9", "caf\\xE9", " lead", "two\nlines", "\x1B[2J", "\xC3\xA4"}) {
    found.push_back({static_cast<int>(data.samples.size()), 1, 0.5F, {1, 2, 3, 4}});
    data.samples.push_back({escaped(name), name + ".jpg", 40, 30, {}});
  }
  write_detections(folder / "found.json", found, data.samples, data.classes);
  const CocoNumbers numbers = coco_numbers(data);
  const std::vector<CocoResult> back = read_coco_results(folder / "found.json", numbers);
  REQUIRE(back.size() == data.samples.size());
  for (size_t i = 0; i < back.size(); ++i) CHECK(back[i].image == numbers.images.at(data.samples[i].id));
}

TEST_CASE("results: objects on images that could not be decoded are not counted as missed") {
  Dataset data;
  data.classes = {"cat"};
  for (const char* name : {"a.jpg", "b.jpg"})
    data.samples.push_back({name, name, 40, 30, {{{1, 2, 30, 20}, 1}}});
  const std::vector<Detection> found = {{0, 1, 0.9F, {1, 2, 30, 20}}};
  CHECK(evaluate_voc(found, data).classes[0].truths == 2);
  ignore_undecodable(
      data, {{"a.jpg", "a.jpg has a fault."}, {"b.jpg", "b.jpg is truncated.", FaultKind::undecodable}});
  const VocResult result = evaluate_voc(found, data);
  CHECK(result.classes[0].truths == 1);
  CHECK(result.classes[0].ap_area == 1);
  CHECK(evaluate_coco(found, data).mean.ap50 == doctest::Approx(1));
  REQUIRE(data.samples.size() == 2);  // so that the numbers of the images stay
}
