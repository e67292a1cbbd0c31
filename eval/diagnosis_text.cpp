// The diagnosis as text and as JSON.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "eval/biography.h"
#include "eval/diagnosis.h"

namespace rcnn {
namespace {

using Json = nlohmann::ordered_json;

/// Rounds to four decimals, so that JSON shows .93 instead of the float's exact value .9300000071525574.
double short_decimal(float value) { return std::round(double{value} * 1e4) / 1e4; }

/// The settings are those that the stories of `explain` name for objects that were lost so early. Both
/// numbers of proposals have to be raised: what does not enter non-maximum suppression cannot remain after
/// it.
std::string_view advice_for_not_proposed() {
  static const std::string text = fmt::format(
      "No proposal overlaps the object enough: check that {} covers its size, enlarge small objects with a "
      "larger --short-side, or keep more proposals, with both {} (of each level, before non-maximum "
      "suppression) and {} (of the image, after it).",
      setting_for(Fate::no_box), setting_for(Fate::below_top_k), setting_for(Fate::over_proposals));
  return text;
}

Json recommended(const ScoreCurve& curve) {
  const auto at = static_cast<size_t>(std::lround(double{curve.best_score} * 100));
  return {{"score", short_decimal(curve.best_score)},
          {"f1", short_decimal(curve.best_f1)},
          {"precision", short_decimal(curve.precision.at(at))},
          {"recall", short_decimal(curve.recall.at(at))}};
}

}  // namespace

std::vector<float> recommended_confidence(const Diagnosis& diagnosis) {
  std::vector<float> confidence;
  for (const ScoreCurve& curve : diagnosis.classes)
    confidence.push_back(curve.best_f1 > 0 ? curve.best_score : std::nanf(""));
  return confidence;
}

std::string_view name_of(MissCause cause) {
  switch (cause) {
    case MissCause::not_proposed:
      return "not proposed";
    case MissCause::low_score:
      return "low score";
    case MissCause::lost_in_nms:
      return "lost in NMS";
    case MissCause::wrong_class:
      return "wrong class";
    case MissCause::poorly_placed:
      return "poorly placed";
    case MissCause::not_detected:
      return "not detected";
  }
  return "";
}

std::string_view advice_for(MissCause cause) {
  switch (cause) {
    case MissCause::not_proposed:
      return advice_for_not_proposed();
    case MissCause::low_score:
      return "The object was proposed, but its score is below the recommended confidence threshold: train "
             "for more --epochs, add images with similar objects, or choose a lower threshold and accept "
             "more false positives.";
    case MissCause::lost_in_nms:
      return "Non-maximum suppression removed a good box in favour of a neighbour of the same class: raise "
             "--box-nms-thresh, or raise --box-detections-per-img if an image holds more objects than that.";
    case MissCause::wrong_class:
      return "The object was detected as another class: check that the two classes are labelled "
             "consistently, train for more --epochs, add images of the rarer one, or show finer detail with "
             "a "
             "larger --short-side.";
    case MissCause::poorly_placed:
      return "Localisation error: the object was detected, but its box overlaps it by an IoU below .5. "
             "Check that the ground-truth boxes are drawn tightly, train for more --epochs, or place boxes "
             "more precisely with a larger --short-side.";
    case MissCause::not_detected:
      return "No detection of its class overlaps the object enough, whatever its score. Detections alone do "
             "not show whether the object was not proposed, scored too low or was lost in NMS: evaluate the "
             "model itself with --weights to learn it.";
  }
  return "";
}

std::string_view name_of(FalsePositive kind) {
  switch (kind) {
    case FalsePositive::wrong_class:
      return "wrong class";
    case FalsePositive::duplicate:
      return "duplicate";
    case FalsePositive::poorly_placed:
      return "poorly placed";
    case FalsePositive::wrong_class_and_place:
      return "wrong class and place";
    case FalsePositive::background:
      return "background";
  }
  return "";
}

std::string_view advice_for(FalsePositive kind) {
  switch (kind) {
    case FalsePositive::wrong_class:
      return "The detection lies on an object of another class, which another detection may have found: "
             "check "
             "that the two classes are labelled consistently, train for more --epochs, or add images of the "
             "rarer one.";
    case FalsePositive::duplicate:
      return "The object was detected twice: lower --box-nms-thresh, so that non-maximum suppression removes "
             "the second box, or check whether the ground truth has one box for two objects.";
    case FalsePositive::poorly_placed:
      return "Localisation error: the detection lies on an object of its class, but overlaps it by an IoU "
             "below .5. Check that the ground-truth boxes are drawn tightly and by one rule, or train for "
             "more --epochs.";
    case FalsePositive::wrong_class_and_place:
      return "The detection overlaps an object of another class, by an IoU below .5. It often shows a part "
             "of that object: add images in which the two classes are side by side.";
    case FalsePositive::background:
      return "There is no annotated object. Look at the worst images. If an annotation lacks an object, add "
             "it, and check the training images for such objects too. If the detector is wrong, add training "
             "images that show the same background without an object.";
  }
  return "";
}

std::string_view name_of(ObjectSize size) {
  return size == ObjectSize::small ? "small" : size == ObjectSize::medium ? "medium" : "large";
}

Tally tally(const Diagnosis& diagnosis) {
  Tally all;
  for (size_t size = 0; size < diagnosis.objects_by_size.size(); ++size) {
    all.objects += diagnosis.objects_by_size[size];
    all.found += diagnosis.objects_by_size[size];
    for (const int64_t missed : diagnosis.misses_by_size[size]) all.found -= missed;
  }
  for (const int64_t wrong : diagnosis.false_positives) all.false_positives += wrong;
  return all;
}

Json to_json(const Diagnosis& diagnosis, const Dataset& dataset) {
  Json json;
  const Tally all = tally(diagnosis);
  json["objects"] = all.objects;
  json["found"] = all.found;
  json["false_positives"] = all.false_positives;
  for (size_t kind = 0; kind < kFalsePositives; ++kind)
    json["false_positives_by_kind"][std::string(name_of(static_cast<FalsePositive>(kind)))] =
        diagnosis.false_positives[kind];
  json["recommended_all"] = recommended(diagnosis.all);
  json["recommended"] = Json::object();
  json["confusion_labels"] = Json::array({"background"});
  for (size_t c = 0; c < dataset.classes.size(); ++c) {
    json["recommended"][dataset.classes[c]] = recommended(diagnosis.classes.at(c));
    json["confusion_labels"].push_back(dataset.classes[c]);
  }
  const Confusion& confusion = diagnosis.confusion;
  if (dataset.classes.size() > kMaxDenseClasses) {
    json["confusion_cells"] = Json::array();
    for (const auto& [truth, found, count] : confusion.cells())
      json["confusion_cells"].push_back(Json::array({truth, found, count}));
  } else {
    json["confusion"] = Json::array();
    for (size_t truth = 0; truth < confusion.size(); ++truth) {
      Json row = Json::array();
      for (size_t found = 0; found < confusion.size(); ++found) row.push_back(confusion[truth][found]);
      json["confusion"].push_back(std::move(row));
    }
  }
  for (size_t s = 0; s < diagnosis.objects_by_size.size(); ++s) {
    Json& of_size = json["sizes"][std::string(name_of(static_cast<ObjectSize>(s)))];
    of_size["objects"] = diagnosis.objects_by_size[s];
    for (size_t cause = 0; cause < kMissCauses; ++cause)
      if (const int64_t count = diagnosis.misses_by_size[s][cause];
          count > 0 || static_cast<MissCause>(cause) != MissCause::not_detected)
        of_size["misses"][std::string(name_of(static_cast<MissCause>(cause)))] = count;
  }
  return json;
}

}  // namespace rcnn
