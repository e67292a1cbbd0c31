#include "eval/diagnosis.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/rng.h"
#include "models/config.h"
#include "tests/eval/diagnosis_fixtures.h"
#include "train/config.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

int64_t sum_of_row(const Diagnosis& diagnosis, size_t row) { return diagnosis.confusion[row].sum(); }

}  // namespace

TEST_CASE("diagnosis: the curve and the recommended threshold, worked out by hand") {
  // Four cats. The detections: .9 right, .7 wrong, .5 right, .25 wrong, and .9 on a difficult cat.
  const Dataset dataset = dataset_of(
      {{{cell(0), kCat}, {cell(1), kCat}, {cell(2), kCat}, {cell(3), kCat}, {cell(4), kCat, true}}});
  const std::vector<Detection> detections = {{0, kCat, 0.25F, cell(90)},
                                             {0, kCat, 0.9F, cell(0)},
                                             {0, kCat, 0.7F, cell(91)},
                                             {0, kCat, 0.5F, cell(1)},
                                             {0, kCat, 0.9F, cell(4)}};
  const Diagnosis diagnosis = diagnose(detections, {}, dataset);
  const ScoreCurve& curve = diagnosis.classes.at(0);
  REQUIRE(curve.score.size() == 101);
  const auto at = [&](int percent, float precision, float recall, float f1) {
    const auto i = static_cast<size_t>(percent);
    CAPTURE(percent);
    CHECK(curve.score[i] == static_cast<float>(percent) / 100);
    CHECK(curve.precision[i] == precision);
    CHECK(curve.recall[i] == recall);
    CHECK(curve.f1[i] == f1);
  };
  at(0, 0.5F, 0.5F, 0.5F);  // F1 = 2 * 2 / (4 + 4)
  at(25, 0.5F, 0.5F, 0.5F);
  at(26, 2.0F / 3, 0.5F, 4.0F / 7);
  at(50, 2.0F / 3, 0.5F, 4.0F / 7);
  at(51, 0.5F, 0.25F, 2.0F / 6);
  at(70, 0.5F, 0.25F, 2.0F / 6);
  at(71, 1, 0.25F, 2.0F / 5);
  at(90, 1, 0.25F, 2.0F / 5);
  at(91, 1, 0, 0);  // nothing is found
  at(100, 1, 0, 0);
  CHECK(curve.best_score == 0.38F);  // the middle of .26 to .50
  CHECK(curve.best_f1 == 4.0F / 7);

  const ScoreCurve& dogs = diagnosis.classes.at(1);
  CHECK(dogs.best_score == 0.5F);
  CHECK(dogs.best_f1 == 0);
  CHECK(dogs.precision[0] == 1);
  CHECK(dogs.recall[0] == 0);
}

TEST_CASE("diagnosis: the curve of all classes has one threshold for all") {
  const Dataset dataset = dataset_of({{{cell(0), kCat}, {cell(1), kDog}, {cell(2), kDog}}});
  const Diagnosis diagnosis = diagnose({{0, kCat, 0.8F, cell(0)},
                                        {0, kCat, 0.3F, cell(9)},
                                        {0, kDog, 0.3F, cell(1)},
                                        {0, kDog, 0.3F, cell(2)}},
                                       {}, dataset);
  CHECK(diagnosis.classes[0].best_score == 0.55F);  // the middle of .31 to .80
  CHECK(diagnosis.classes[0].best_f1 == 1);
  CHECK(diagnosis.classes[1].best_score == 0.15F);  // the middle of 0 to .30
  CHECK(diagnosis.all.best_score == 0.15F);
  CHECK(diagnosis.all.best_f1 == 6.0F / 7);
  CHECK(diagnosis.all.precision[30] == 0.75F);
  CHECK(diagnosis.all.recall[30] == 1);
  CHECK(diagnosis.all.recall[31] == 1.0F / 3);
}

TEST_CASE("diagnosis: the recommended threshold leaves a margin on both sides") {
  const Dataset dataset = dataset_of({{{cell(0), kCat}, {cell(1), kCat}}});
  const auto recommended = [&](std::vector<Detection> detections) {
    const ScoreCurve curve = diagnose(detections, {}, dataset).classes.at(0);
    return std::pair(curve.best_score, curve.best_f1);
  };
  // Without an error all thresholds from 0 to .93 are equally good; with one at .25, those from .26 to .93.
  CHECK(recommended({{0, kCat, 0.9301F, cell(0)}, {0, kCat, 0.97F, cell(1)}}) == std::pair(0.46F, 1.0F));
  CHECK(recommended({{0, kCat, 0.9301F, cell(0)}, {0, kCat, 0.97F, cell(1)}, {0, kCat, 0.25F, cell(9)}}) ==
        std::pair(0.59F, 1.0F));
  // The detections .8 right, .6 wrong, .5 wrong, .4 right: F1 is 2/3 from .61 to .80, and at .40 and below.
  CHECK(recommended({{0, kCat, 0.8001F, cell(0)},
                     {0, kCat, 0.6F, cell(8)},
                     {0, kCat, 0.5F, cell(9)},
                     {0, kCat, 0.4001F, cell(1)}}) == std::pair(0.2F, 2.0F / 3));
}

TEST_CASE("diagnosis: scores outside 0 to 1 lie above or below all thresholds") {
  const Dataset dataset = dataset_of({{{cell(0), kCat}, {cell(1), kCat}}});
  const ScoreCurve curve =
      diagnose({{0, kCat, 7, cell(0)}, {0, kCat, -1, cell(1)}}, {}, dataset).classes.at(0);
  CHECK(curve.recall.front() == 0.5F);
  CHECK(curve.recall.back() == 0.5F);
}

TEST_CASE("diagnosis: an empty dataset, no objects, no detections, and no detection that is right") {
  const Diagnosis nothing = diagnose({}, {}, dataset_of({}));
  CHECK(nothing.classes.size() == 2);
  CHECK(nothing.all.best_score == 0.5F);
  CHECK(nothing.confusion == Confusion(3));
  CHECK(nothing.misses.empty());
  CHECK(nothing.worst.empty());
  CHECK(diagnose({}, {}, dataset_of({}, {})).confusion == Confusion(1));

  const Diagnosis no_objects =
      diagnose({{0, kCat, 0.5F, cell(0)}, {0, kCat, 0.4F, cell(0)}}, {}, dataset_of({{}, {}}));
  CHECK(no_objects.classes[0].best_score == 0.5F);
  CHECK(no_objects.confusion[0][kCat] == 1);  // only the detection of .5 reaches the threshold
  REQUIRE(no_objects.worst.size() == 1);
  CHECK(no_objects.worst[0].reasons == std::vector<std::string>{"background detected as cat (score 0.50)"});

  const Diagnosis no_detections = diagnose({}, {}, dataset_of({{{cell(0), kCat}}}));
  CHECK(no_detections.classes[0].best_score == 0.5F);
  CHECK(no_detections.confusion[kCat][0] == 1);
  REQUIRE(no_detections.misses.size() == 1);
  CHECK(no_detections.misses[0].cause == MissCause::not_detected);

  const Diagnosis all_wrong = diagnose({{0, kCat, 0.4F, cell(9)}}, {}, dataset_of({{{cell(0), kCat}}}));
  CHECK(all_wrong.classes[0].best_score == 0.5F);
  CHECK(all_wrong.confusion[0][kCat] == 0);
}

TEST_CASE("diagnosis: invalid detections and a wrong number of traces are refused") {
  const Dataset dataset = dataset_of({{{cell(0), kCat}}});
  for (const Detection& detection :
       {Detection{1, 1, 0.5F, cell(0)}, Detection{-1, 1, 0.5F, cell(0)}, Detection{0, 0, 0.5F, cell(0)},
        Detection{0, 3, 0.5F, cell(0)}, Detection{0, 1, std::numeric_limits<float>::quiet_NaN(), cell(0)}})
    CHECK_THROWS_AS(diagnose({detection}, {}, dataset), Error);
  CHECK_THROWS_AS(diagnose({}, {{}, {}}, dataset), Error);
}

TEST_CASE("diagnosis: object sizes are those of COCO") {
  const auto sized = [](double area) {
    Object object{{0, 0, 5, 5}, kCat};
    object.area = area;
    return object;
  };
  // Areas of 1023.9, 1024, 9215.9 and 9216, and boxes of 31 x 33 = 1023, 32 x 32 and 96 x 96 pixels.
  const Dataset dataset =
      dataset_of({{sized(1023.9), sized(1024), sized(9215.9), sized(9216), Object{{0, 0, 31, 33}, kCat},
                   Object{{0, 0, 32, 32}, kCat}, Object{{0, 0, 96, 96}, kCat}}});
  const Diagnosis diagnosis = diagnose({}, {}, dataset);
  CHECK(diagnosis.objects_by_size == std::array<int64_t, 3>{2, 3, 2});
  const auto cause = static_cast<size_t>(MissCause::not_detected);
  for (size_t size = 0; size < 3; ++size)
    CHECK(diagnosis.misses_by_size[size][cause] == diagnosis.objects_by_size[size]);
  CHECK(diagnosis.misses[1].size == ObjectSize::medium);
  CHECK(diagnosis.misses[3].size == ObjectSize::large);
}

TEST_CASE("diagnosis: the worst images are at most twenty, and ties are ordered by index") {
  std::vector<std::vector<Object>> images(30, {{cell(0), kCat}});
  images[7] = {};  // no errors
  images[25] = {{cell(0), kCat}, {cell(1), kCat}};
  const Diagnosis diagnosis = diagnose({}, {}, dataset_of(images));
  REQUIRE(diagnosis.worst.size() == 20);
  CHECK(diagnosis.worst[0].image == 25);
  CHECK(diagnosis.worst[0].badness == 2);
  for (int i = 1; i < 20; ++i) CHECK(diagnosis.worst[static_cast<size_t>(i)].image == (i <= 7 ? i - 1 : i));
  CHECK(diagnosis.misses.size() == 30);
}

TEST_CASE("diagnosis: in random cases all counts add up and agree with average precision") {
  int64_t cause_seen[kMissCauses] = {}, kind_seen[kFalsePositives] = {};
  for (uint32_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    RandomSequence random(seed, Purpose::test);
    const auto box = [&] {
      const float x = static_cast<float>(random.below(60)), y = static_cast<float>(random.below(60));
      return Box{x, y, x + 10 + static_cast<float>(random.below(100)),
                 y + 10 + static_cast<float>(random.below(100))};
    };
    const auto label = [&] { return 1 + static_cast<int>(random.below(3)); };
    Dataset dataset = dataset_of(std::vector<std::vector<Object>>(1 + random.below(6)), {"a", "b", "c"});
    std::vector<Trace> traces(dataset.samples.size());
    std::vector<Detection> detections;
    for (size_t i = 0; i < dataset.samples.size(); ++i) {
      std::vector<Object>& objects = dataset.samples[i].objects;
      for (uint32_t k = random.below(6); k > 0; --k)
        objects.push_back({box(), label(), random.below(8) == 0, random.below(8) == 0});
      const auto detection = [&] {
        const float score = static_cast<float>(random.below(20)) / 20;
        if (objects.empty() || random.below(3) == 0)
          return Detection{static_cast<int>(i), label(), score, box()};
        const Object& near = objects[random.below(static_cast<uint32_t>(objects.size()))];
        Box moved = near.box;
        moved.x2 += static_cast<float>(random.below(30));
        moved.y2 += static_cast<float>(random.below(30));
        return Detection{static_cast<int>(i), random.below(4) == 0 ? label() : near.label, score, moved};
      };
      for (uint32_t k = random.below(8); k > 0; --k) detections.push_back(detection());
      for (uint32_t k = random.below(6); k > 0; --k) traces[i].before_nms.push_back(detection());
      for (uint32_t k = random.below(6); k > 0; --k) traces[i].proposals.push_back(detection().box);
    }
    if (seed % 4 == 0) traces.clear();
    const Diagnosis diagnosis = diagnose(detections, traces, dataset);

    int64_t objects = 0, right = 0, across = 0, shown = 0;
    for (int l = 1; l <= 3; ++l) {
      const auto c = static_cast<size_t>(l);
      const ScoreCurve& curve = diagnosis.classes[c - 1];
      const auto best = static_cast<size_t>(std::lround(curve.best_score * 100));
      const int64_t truths = count_truths(l, dataset);
      objects += truths;
      CHECK(sum_of_row(diagnosis, c) == truths);

      // Count again at the recommended threshold, with the curve of average precision.
      std::vector<Detection> kept;
      for (const Detection& d : detections)
        if (d.label == l && d.score >= curve.best_score) kept.push_back(d);
      const ClassResult result = evaluate_voc(kept, dataset).classes[c - 1];
      const auto counted = static_cast<int64_t>(result.precision.size());
      shown += counted;
      CHECK(curve.precision[best] == (counted == 0 ? 1 : result.precision.back()));
      CHECK(curve.recall[best] == (counted == 0 ? 0 : result.recall.back()));
      int64_t column = 0;
      for (size_t row = 0; row <= 3; ++row) {
        column += diagnosis.confusion[row][c];
        if (row != 0 && row != c) across += diagnosis.confusion[row][c];
      }
      CHECK(column == counted);
      right += diagnosis.confusion[c][c];
      if (counted > 0)
        CHECK(std::fabs(static_cast<double>(diagnosis.confusion[c][c]) / static_cast<double>(counted) -
                        double{curve.precision[best]}) <= 1e-6);

      float highest = 0;
      int below = 0, above = 0;  // the thresholds with the same detections as the recommended one
      for (size_t i = 0; i < curve.score.size(); ++i) {
        const float p = curve.precision[i], r = curve.recall[i];
        CHECK(std::fabs(curve.f1[i] - (p + r > 0 ? 2 * p * r / (p + r) : 0)) <= 1e-6F);
        highest = std::max(highest, curve.f1[i]);
        if (curve.best_f1 == 0) continue;
        const bool same = p == curve.precision[best] && r == curve.recall[best];
        (i < best ? below : above) += same;
        if (i < best && !same) CHECK(curve.f1[i] < curve.best_f1);
      }
      CHECK((curve.best_f1 == 0 || above - below == 1 || above - below == 2));  // `above` includes itself
      CHECK(curve.best_f1 == highest);
      if (highest > 0) CHECK(curve.f1[best] == highest);
    }
    CHECK(diagnosis.confusion[0][0] == 0);
    CHECK(right + static_cast<int64_t>(diagnosis.misses.size()) == objects);

    int64_t by_size = 0, sizes = 0, wrong_class = 0;
    for (size_t size = 0; size < 3; ++size) {
      sizes += diagnosis.objects_by_size[size];
      for (size_t cause = 0; cause < kMissCauses; ++cause) {
        by_size += diagnosis.misses_by_size[size][cause];
        cause_seen[cause] += diagnosis.misses_by_size[size][cause];
      }
      const auto of = [&](MissCause cause) {
        return diagnosis.misses_by_size[size][static_cast<size_t>(cause)];
      };
      wrong_class += of(MissCause::wrong_class);
      if (traces.empty())
        CHECK((of(MissCause::not_proposed) == 0 && of(MissCause::lost_in_nms) == 0));
      else
        CHECK(of(MissCause::not_detected) == 0);
    }
    CHECK(sizes == objects);
    CHECK(by_size == static_cast<int64_t>(diagnosis.misses.size()));
    CHECK(wrong_class == across);

    int64_t in_images = 0;
    for (const JudgedImage& image : diagnosis.worst) {
      CHECK(image.badness >= 0);
      CHECK_FALSE(image.reasons.empty());
      in_images += static_cast<int64_t>(image.missed.size() + image.wrong.size());
    }
    CHECK(in_images == static_cast<int64_t>(diagnosis.misses.size()) + shown - right);
    const Tally all = tally(diagnosis);
    CHECK(all.objects == objects);
    CHECK(all.found == right);
    CHECK(all.false_positives == shown - right);
    for (size_t kind = 0; kind < kFalsePositives; ++kind) kind_seen[kind] += diagnosis.false_positives[kind];
  }
  for (const int64_t count : cause_seen) CHECK(count > 20);
  for (const int64_t count : kind_seen) CHECK(count > 20);
}

TEST_CASE("diagnosis: every cause has a name, and advice that names existing settings") {
  std::set<std::string> names, settings;
  for (const auto& field : model_fields()) settings.insert(std::string(field.key));
  for (const auto& field : train_fields()) settings.insert(std::string(field.key));
  for (int kind = 0; kind < kFalsePositives; ++kind) {
    const std::string advice(advice_for(static_cast<FalsePositive>(kind)));
    CHECK(advice.ends_with("."));
    for (size_t at = advice.find("--"); at != std::string::npos; at = advice.find("--", at + 2)) {
      const size_t end = advice.find_first_not_of("abcdefghijklmnopqrstuvwxyz-", at + 2);
      const std::string setting = advice.substr(at + 2, end - at - 2);
      CHECK_MESSAGE(settings.contains(setting), setting);
    }
    CHECK_FALSE(name_of(static_cast<FalsePositive>(kind)).empty());
  }
  for (int cause = 0; cause < kMissCauses; ++cause) {
    names.insert(std::string(name_of(static_cast<MissCause>(cause))));
    const std::string advice(advice_for(static_cast<MissCause>(cause)));
    CHECK(advice.ends_with("."));
    int named = 0;
    for (size_t at = advice.find("--"); at != std::string::npos; at = advice.find("--", at + 2), ++named) {
      const size_t end = advice.find_first_not_of("abcdefghijklmnopqrstuvwxyz-", at + 2);
      const std::string setting = advice.substr(at + 2, end - at - 2);
      CHECK_MESSAGE(settings.contains(setting), setting);
    }
    CHECK(named > 0);
  }
  CHECK(names.size() == kMissCauses);
  CHECK_FALSE(names.contains(""));
}

TEST_CASE("diagnosis: the JSON has thresholds, confusion matrix and misses") {
  const Dataset dataset = dataset_of({{{cell(0), kCat}, {{0, 0, 100, 100}, kCat}}});
  const Diagnosis diagnosis = diagnose({{0, kCat, 0.93F, cell(0)}, {0, kCat, 0.92F, cell(9)}}, {}, dataset);
  const auto misses = [](int not_detected) {
    const std::string last = not_detected == 0 ? "" : fmt::format(R"(,"not detected":{})", not_detected);
    return R"("misses":{"not proposed":0,"low score":0,"lost in NMS":0,"wrong class":0,"poorly placed":0)" +
           last + "}}";
  };
  CHECK(to_json(diagnosis, dataset).dump() ==
        R"({"objects":2,"found":1,"false_positives":0,"false_positives_by_kind":{"wrong class":0,)"
        R"("duplicate":0,"poorly placed":0,"wrong class and place":0,"background":0},)"
        R"("recommended_all":{"score":0.93,"f1":0.6667,"precision":1.0,"recall":0.5},)"
        R"("recommended":{"cat":{"score":0.93,"f1":0.6667,"precision":1.0,"recall":0.5},)"
        R"("dog":{"score":0.5,"f1":0.0,"precision":1.0,"recall":0.0}},)"
        R"("confusion_labels":["background","cat","dog"],"confusion":[[0,0,0],[1,1,0],[0,0,0]],)"
        R"("sizes":{"small":{"objects":1,)" +
            misses(0) + R"(,"medium":{"objects":0,)" + misses(0) + R"(,"large":{"objects":1,)" + misses(1) +
            "}}");
}

TEST_CASE("diagnosis: with many classes only the cells that are not 0 are kept and written") {
  for (const size_t classes : {kMaxDenseClasses, kMaxDenseClasses + 1, size_t{20'000}}) {
    CAPTURE(classes);
    const int last = static_cast<int>(classes);
    Dataset dataset = dataset_of({{{cell(0), 1}, {cell(1), last}}});
    dataset.classes.clear();
    for (size_t i = 0; i < classes; ++i) dataset.classes.push_back(std::to_string(i));
    const Diagnosis diagnosis = diagnose({{0, last, 0.9F, cell(0)}}, {}, dataset);
    const std::vector<Confusion::Cell> expected = {{1, classes, 1}, {classes, 0, 1}};
    CHECK(diagnosis.confusion.cells() == expected);
    CHECK(diagnosis.confusion.size() == classes + 1);
    const auto json = to_json(diagnosis, dataset);
    REQUIRE(json.contains("confusion") == (classes <= kMaxDenseClasses));  // or 20,000 would fill the memory
    if (classes > kMaxDenseClasses)
      CHECK(json.at("confusion_cells").dump() == fmt::format("[[1,{},1],[{},0,1]]", classes, classes));
    else
      CHECK(json.at("confusion").at(1).at(classes) == 1);
  }
}
