// What the report tells of the objects that are missed on the worst images: the sentences of `explain`, with
// the causes of the diagnosis.
#include <doctest/doctest.h>

#include "eval/biography.h"
#include "eval/detect.h"
#include "tests/eval/diagnosis_fixtures.h"
#include "tests/models/models.h"

using namespace rcnn;
using namespace rcnn::fixtures;

TEST_CASE("worst images: each missed object has the sentence of explain, and the cause of the diagnosis") {
  const TemporaryFolder folder;
  Dataset data;
  data.classes = {"cat", "dog"};
  for (int i = 0; i < 3; ++i) {
    Sample& sample = data.samples.emplace_back();
    sample.id = fmt::format("{}", i);
    sample.image = folder / (sample.id + ".png");
    sample.width = 96 + 8 * i, sample.height = 72;
    write_png(sample.image, smooth_image(sample.width, sample.height));
    sample.objects = {{{8, 6, 40, 44}, 1}, {{50, 20, 90, 60}, 2}, {{2, 2, 7, 6}, 1}};
  }
  data.samples[2].objects[1].difficult = true;
  Context ctx;
  FasterRcnn model = small_model("nano-fpn", "group", 3);
  std::vector<Fault> faults;
  std::vector<Trace> traces;
  const std::vector<Detection> found = detect_dataset(ctx, model, data, 0, faults, {}, &traces);
  Diagnosis diagnosis = diagnose(found, traces, data);
  REQUIRE(diagnosis.worst.size() > 0);
  const Diagnosis before = diagnosis;
  tell_worst(ctx, model, data, diagnosis);

  std::vector<float> thresholds;
  for (const ScoreCurve& curve : diagnosis.classes) thresholds.push_back(curve.best_score);
  size_t told = 0;
  for (size_t i = 0; i < diagnosis.worst.size(); ++i) {
    const JudgedImage& image = diagnosis.worst[i];
    CHECK(before.worst[i].stories.empty());
    CHECK(image.reasons == before.worst[i].reasons);
    REQUIRE(image.stories.size() == image.missed.size());
    const Sample& sample = data.samples[static_cast<size_t>(image.image)];
    const Biographies all = tell_biographies(detect_stages(ctx, model, read_image(sample.image)),
                                             model.config, sample.objects, data.classes, thresholds);
    for (size_t m = 0; m < image.missed.size(); ++m, ++told) {
      const ObjectStory& story = all.objects.at(static_cast<size_t>(image.missed[m].object));
      CHECK(image.stories[m] == story.sentence);
      CHECK(cause_of(story.fate) == image.missed[m].cause);
    }
  }
  CHECK(told > 0);

  // Given proposals come from no anchors, and an image that is gone cannot be looked at again.
  data.samples[static_cast<size_t>(diagnosis.worst[0].image)].proposals.emplace();
  std::filesystem::remove(data.samples[static_cast<size_t>(diagnosis.worst[1].image)].image);
  tell_worst(ctx, model, data, diagnosis);
  CHECK(diagnosis.worst[0].stories.empty());
  CHECK(diagnosis.worst[1].stories.empty());
}
