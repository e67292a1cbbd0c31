// Why objects are missed and detections are wrong, case by case.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "eval/biography.h"
#include "eval/diagnosis.h"
#include "tests/eval/diagnosis_fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

/// Image 0 sets the recommended threshold of both classes to .6: ten objects of each class are found with
/// this score, and ten wrong detections of each class score .59. Image 1 is the case that is tested.
struct Case {
  std::vector<Object> objects;
  std::vector<Detection> detections;
  Trace trace;

  Diagnosis diagnose(bool traced = true) const {
    Dataset dataset = dataset_of({{}, objects});
    std::vector<Detection> all;
    for (int i = 0; i < 10; ++i)
      for (const int label : {kCat, kDog}) {
        const auto x = static_cast<float>(100 * label);
        dataset.samples[0].objects.push_back({cell(i, x), label});
        all.push_back({0, label, 0.6F, cell(i, x)});
        all.push_back({0, label, 0.59F, cell(100 + i, x)});
      }
    for (Detection detection : detections) {
      detection.image = 1;
      all.push_back(detection);
    }
    const Diagnosis diagnosis =
        rcnn::diagnose(all, traced ? std::vector<Trace>{{}, trace} : std::vector<Trace>{}, dataset);
    for (const ScoreCurve& curve : diagnosis.classes) REQUIRE(curve.best_score == 0.6F);
    return diagnosis;
  }
  /// The cause of each miss, by object; "" if there is no miss.
  std::string causes(bool traced = true) const {
    std::string text;
    for (const Miss& miss : diagnose(traced).misses) {
      CHECK(miss.image == 1);
      text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", miss.object, name_of(miss.cause));
    }
    return text;
  }
};

const Box kBox{0, 0, 100, 100};
/// The upper part of kBox. Its overlap with kBox is `share`.
Box upper(float share) { return {0, 0, 100, 100 * share}; }
Detection cat(float score, const Box& box) { return {1, kCat, score, box}; }
Detection dog(float score, const Box& box) { return {1, kDog, score, box}; }

}  // namespace

TEST_CASE("diagnosis: an object that is found is not a miss") {
  CHECK(Case{{{kBox, kCat}}, {cat(0.6F, kBox)}, {}}.causes().empty());
  CHECK(Case{{{kBox, kCat}}, {cat(0.9F, upper(0.5F)), dog(0.9F, kBox)}, {}}.causes().empty());
}

TEST_CASE("diagnosis: wrong class") {
  const std::vector<Object> one = {{kBox, kCat}};
  CHECK(Case{one, {dog(0.6F, kBox)}, {}}.causes() == "0: wrong class");
  CHECK(Case{one, {dog(0.9F, upper(0.5F))}, {}}.causes() == "0: wrong class");
  // This cause takes precedence over all others.
  CHECK(Case{one, {dog(0.9F, kBox), cat(0.8F, upper(0.4F)), cat(0.3F, kBox)}, {{kBox}, {cat(0.9F, kBox)}}}
            .causes() == "0: wrong class");
  // A detection that is not shown, overlaps too little, or is right for another object is not a cause.
  CHECK(Case{one, {dog(0.5F, kBox)}, {}}.causes() == "0: not proposed");
  CHECK(Case{one, {dog(0.9F, upper(0.49F))}, {}}.causes() == "0: not proposed");
  CHECK(Case{{{kBox, kCat}, {kBox, kDog}}, {dog(0.9F, kBox)}, {}}.causes() == "0: not proposed");
  CHECK(Case{{{kBox, kCat}, {kBox, kDog, true}}, {dog(0.9F, kBox)}, {}}.causes() == "0: not proposed");
  // One detection explains one miss: the object that it overlaps most, the first in case of a tie.
  CHECK(Case{{{upper(0.8F), kCat}, {kBox, kCat}}, {dog(0.9F, kBox)}, {}}.causes() ==
        "0: not proposed, 1: wrong class");
  CHECK(Case{{{kBox, kCat}, {kBox, kCat}}, {dog(0.9F, kBox)}, {}}.causes() ==
        "0: wrong class, 1: not proposed");
}

TEST_CASE("diagnosis: poorly placed") {
  const std::vector<Object> one = {{kBox, kCat}};
  CHECK(Case{one, {cat(0.6F, upper(0.49F))}, {}}.causes() == "0: poorly placed");
  CHECK(Case{one, {cat(0.6F, upper(0.1F))}, {}}.causes() == "0: poorly placed");
  // This cause takes precedence over NMS, low score and no proposal.
  CHECK(Case{one, {cat(0.9F, upper(0.4F)), cat(0.3F, kBox)}, {{kBox}, {cat(0.8F, kBox)}}}.causes() ==
        "0: poorly placed");
  CHECK(Case{one, {cat(0.6F, upper(0.09F))}, {}}.causes() == "0: not proposed");
  CHECK(Case{one, {cat(0.5F, upper(0.4F))}, {}}.causes() == "0: not proposed");
  CHECK(Case{one, {dog(0.9F, upper(0.4F))}, {}}.causes() == "0: not proposed");
  // A duplicate detection of a neighbour does not belong to this object: it overlaps the neighbour more.
  CHECK(Case{{{kBox, kCat}, {{0, 60, 100, 160}, kCat}}, {cat(0.9F, kBox), cat(0.8F, kBox)}, {}}.causes() ==
        "1: not proposed");
}

TEST_CASE("diagnosis: lost in NMS") {
  const std::vector<Object> one = {{kBox, kCat}};
  CHECK(Case{one, {}, {{}, {cat(0.6F, upper(0.5F))}}}.causes() == "0: lost in NMS");
  CHECK(Case{one, {cat(0.3F, kBox)}, {{kBox}, {cat(0.3F, kBox), cat(0.9F, kBox)}}}.causes() ==
        "0: lost in NMS");
  CHECK(Case{one, {}, {{}, {dog(0.9F, kBox), cat(0.9F, upper(0.49F))}}}.causes() == "0: not proposed");
  CHECK(Case{one, {}, {{}, {cat(0.9F, kBox)}}}.causes(false) == "0: not detected");
  // Two cats side by side with a box around each, of which NMS kept one. The boxes overlap by 80 / 120.
  const std::vector<Object> two = {{kBox, kCat}, {{0, 20, 100, 120}, kCat}};
  const Detection first = cat(0.9F, two[0].box), second = cat(0.8F, two[1].box);
  CHECK(Case{two, {first}, {{}, {first, second}}}.causes() == "1: lost in NMS");
  CHECK(Case{two, {first}, {{}, {first, cat(0.8F, {0, 1, 100, 101})}}}.causes() == "1: not proposed");
}

TEST_CASE("diagnosis: low score") {
  const std::vector<Object> one = {{kBox, kCat}};
  CHECK(Case{one, {cat(0.59F, upper(0.5F))}, {}}.causes() == "0: low score");
  CHECK(Case{one, {cat(0.59F, upper(0.5F))}, {}}.causes(false) == "0: low score");
  CHECK(Case{one, {}, {{}, {cat(0.59F, kBox)}}}.causes() == "0: low score");
  CHECK(Case{one, {}, {{upper(0.5F)}, {}}}.causes() == "0: low score");
  CHECK(Case{one, {dog(0.3F, kBox)}, {{kBox}, {dog(0.3F, kBox)}}}.causes() == "0: low score");
}

TEST_CASE("diagnosis: the advice for an object that was not proposed has the settings of explain's fates") {
  const std::string advice(advice_for(MissCause::not_proposed));
  for (const Fate fate : {Fate::no_box, Fate::below_top_k, Fate::over_proposals}) {
    CAPTURE(std::string(name_of(fate)));
    CHECK(advice.find(setting_for(fate)) != std::string::npos);
  }
  CHECK(advice.find("with both --rpn-pre-nms-top-n-test (of each level") != std::string::npos);
}

TEST_CASE("diagnosis: not proposed") {
  const std::vector<Object> one = {{kBox, kCat}};
  CHECK(Case{one, {}, {}}.causes() == "0: not proposed");
  CHECK(Case{one, {}, {{upper(0.49F), {200, 0, 300, 100}, {NAN, 0, 100, 100}}, {}}}.causes() ==
        "0: not proposed");
  CHECK(Case{one, {}, {}}.causes(false) == "0: not detected");
}

TEST_CASE("diagnosis: the kinds of false positives") {
  const std::vector<Object> one = {{kBox, kCat}};
  const auto kinds = [](const Case& tested) {
    std::string text;
    const Diagnosis diagnosis = tested.diagnose();
    for (size_t kind = 0; kind < kFalsePositives; ++kind)
      if (const int64_t count = diagnosis.false_positives[kind]; count > 0)
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count,
                            name_of(static_cast<FalsePositive>(kind)));
    return text;
  };
  CHECK(kinds({one, {cat(0.9F, kBox)}, {}}).empty());
  CHECK(kinds({one, {cat(0.9F, upper(0.49F))}, {}}) == "1 poorly placed");
  CHECK(kinds({one, {cat(0.9F, upper(0.1F))}, {}}) == "1 poorly placed");
  CHECK(kinds({one, {cat(0.9F, upper(0.09F))}, {}}) == "1 background");
  CHECK(kinds({one, {dog(0.9F, upper(0.5F))}, {}}) == "1 wrong class");
  CHECK(kinds({one, {dog(0.9F, upper(0.49F))}, {}}) == "1 wrong class and place");
  CHECK(kinds({one, {dog(0.9F, upper(0.09F))}, {}}) == "1 background");
  CHECK(kinds({one, {cat(0.9F, kBox), cat(0.8F, upper(0.5F))}, {}}) == "1 duplicate");
  CHECK(kinds({one, {cat(0.5F, upper(0.4F)), dog(0.5F, kBox)}, {}}).empty());  // not shown
  // Two detections of a dog lie on one cat, which only one of them can be paired with.
  CHECK(kinds({one, {dog(0.9F, kBox), dog(0.8F, kBox)}, {}}) == "2 wrong class");
  CHECK(kinds({one, {cat(0.9F, kBox), dog(0.8F, kBox)}, {}}) == "1 wrong class");
  // A poorly placed box of a cat that lies well on a dog, which has been found.
  CHECK(kinds({{{kBox, kCat}, {upper(0.4F), kDog}}, {dog(0.9F, upper(0.4F)), cat(0.8F, upper(0.4F))}, {}}) ==
        "1 wrong class");
}

TEST_CASE("diagnosis: good images have the fewest errors for their objects, and different classes") {
  const auto found = [](int image, int label, int row) { return Detection{image, label, 0.9F, cell(row)}; };
  // 0 and 1: two cats. 2: a dog. 3: four cats, one of them missed. 4: one cat, missed. 5: nothing.
  const std::vector<Object> two = {{cell(0), kCat}, {cell(1), kCat}};
  const Dataset dataset = dataset_of({two,
                                      two,
                                      {{cell(0), kDog}},
                                      {{cell(0), kCat}, {cell(1), kCat}, {cell(2), kCat}, {cell(3), kCat}},
                                      {{cell(0), kCat}},
                                      {}});
  std::vector<Detection> detections = {found(0, kCat, 0), found(0, kCat, 1), found(1, kCat, 0),
                                       found(1, kCat, 1), found(2, kDog, 0), found(3, kCat, 0),
                                       found(3, kCat, 1), found(3, kCat, 2)};
  const auto good = [&] {
    std::vector<int> images;
    for (const JudgedImage& image : diagnose(detections, {}, dataset).good) images.push_back(image.image);
    return images;
  };
  CHECK(good() == std::vector<int>{0, 2, 1});
  detections.erase(detections.begin(), detections.begin() + 4);
  CHECK(good() == std::vector<int>{2, 3});
  detections.clear();
  CHECK(good().empty());
  // The examples do not depend on the errors.
  const std::vector<JudgedImage> examples = diagnose({}, {}, dataset).examples;
  REQUIRE(examples.size() == 5);
  for (int i = 0; i < 5; ++i) CHECK(examples[static_cast<size_t>(i)].image == i);
}

TEST_CASE("diagnosis: ignored objects are not missed, and detections of them are not wrong") {
  Object difficult{kBox, kCat, true}, crowd{{200, 0, 400, 200}, kCat, false, true};
  const Diagnosis diagnosis = Case{
      {difficult, crowd},
      {cat(0.9F, kBox), cat(0.8F, kBox), cat(0.9F, {250, 50, 280, 80})},
      {}}.diagnose();
  CHECK(diagnosis.misses.empty());
  CHECK(diagnosis.worst.empty());
  CHECK(diagnosis.confusion == Confusion{{0, 0, 0}, {0, 10, 0}, {0, 0, 10}});
  CHECK(diagnosis.objects_by_size[0] + diagnosis.objects_by_size[1] + diagnosis.objects_by_size[2] == 20);
  // A detection that is ignored because of a crowd is not a detection of an object next to it either.
  CHECK(Case{{{kBox, kCat}, {{0, 0, 100, 40}, kCat, false, true}}, {cat(0.9F, upper(0.4F))}, {}}.causes() ==
        "0: not proposed");
  // A dog on a difficult cat is wrong, as in average precision; the reason names the cat, not the background.
  const Diagnosis dog_there = Case{{difficult}, {dog(0.9F, kBox)}, {}}.diagnose();
  CHECK(dog_there.confusion[0][kDog] == 1);
  CHECK(dog_there.worst.at(0).reasons ==
        std::vector<std::string>{"wrong class: cat detected as dog (score 0.90)"});
}

TEST_CASE("diagnosis: the confusion matrix pairs right detections first") {
  // The detection of a dog has the higher score, but the cat counts as found.
  const Diagnosis found = Case{{{kBox, kCat}}, {dog(0.9F, kBox), cat(0.7F, kBox)}, {}}.diagnose();
  CHECK(found.confusion == Confusion{{0, 0, 1}, {0, 11, 0}, {0, 0, 10}});
  // Two cats, one detected as a dog and one missed; a missed dog; a false positive.
  const Diagnosis mixed = Case{
      {{cell(0), kCat}, {cell(1), kCat}, {cell(2), kDog}},
      {dog(0.9F, cell(0)), cat(0.9F, cell(7))},
      {}}.diagnose();
  CHECK(mixed.confusion == Confusion{{0, 1, 0}, {1, 10, 1}, {1, 0, 10}});
}

TEST_CASE("diagnosis: the reasons describe the errors in an image") {
  const std::vector<Object> objects = {{cell(0), kCat}, {cell(1), kCat},       {cell(2), kCat},
                                       {cell(3), kCat}, {cell(5), kCat, true}, {cell(6), kDog}};
  Trace trace;
  trace.proposals = {cell(2)};
  const Diagnosis diagnosis = Case{objects,
                                   {cat(0.75F, cell(0)),          // right
                                    cat(0.7F, cell(0)),           // duplicate
                                    dog(0.875F, cell(1)),         // wrong class
                                    dog(0.625F, cell(40)),        // background, twice
                                    dog(0.8F, cell(41)),          //
                                    cat(0.65F, {0, 60, 10, 64}),  // overlaps object 3 by 40 / 100
                                    dog(0.9F, cell(6))},          // right
                                   trace}
                                  .diagnose();
  REQUIRE(diagnosis.worst.size() == 1);
  const JudgedImage& worst = diagnosis.worst[0];
  CHECK(worst.image == 1);
  CHECK(std::abs(worst.badness - (3 + 0.7 + 0.875 + 0.625 + 0.8 + 0.65)) <= 1e-6);
  REQUIRE(worst.missed.size() == 3);
  for (int i = 0; i < 3; ++i) CHECK(worst.missed[static_cast<size_t>(i)].object == i + 1);
  CHECK(worst.missed[1].cause == MissCause::low_score);
  REQUIRE(worst.wrong.size() == 5);
  CHECK(worst.wrong[0].score == 0.875F);  // best first
  CHECK(worst.wrong[0].kind == FalsePositive::wrong_class);
  CHECK(worst.wrong[2].kind == FalsePositive::duplicate);
  CHECK(worst.wrong[3].kind == FalsePositive::poorly_placed);
  CHECK(worst.wrong[4].score == 0.625F);
  CHECK(worst.wrong[4].kind == FalsePositive::background);
  CHECK(diagnosis.false_positives == std::array<int64_t, kFalsePositives>{1, 1, 1, 0, 2});
  REQUIRE(worst.right.size() == 2);
  CHECK(worst.right[0].label == kDog);
  CHECK(worst.reasons == std::vector<std::string>{
                             "cat: 3 of 4 missed (1 low score, 1 wrong class, 1 poorly placed)",
                             "wrong class: cat detected as dog (score 0.88)",
                             "background detected as dog, 2 times (scores up to 0.80)",
                             "duplicate detection of cat (score 0.70)", "poorly placed: cat (score 0.65)"});
  CHECK(Case{{{kBox, kDog}, {kBox, kDog}}, {}, {}}.diagnose().worst.at(0).reasons ==
        std::vector<std::string>{"dog: 2 of 2 missed (not proposed)"});
}
