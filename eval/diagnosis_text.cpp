// The diagnosis in words, and as JSON.
#include <cmath>
#include <nlohmann/json.hpp>

#include "eval/diagnosis.h"

namespace rcnn {
namespace {

using Json = nlohmann::ordered_json;

/// As people write it: .93, not the .9300000071525574 that the float is.
double short_decimal(float value) { return std::round(double{value} * 1e4) / 1e4; }

Json recommended(const ScoreCurve& curve) {
  const auto at = static_cast<size_t>(std::lround(double{curve.best_score} * 100));
  return {{"score", short_decimal(curve.best_score)},
          {"f1", short_decimal(curve.best_f1)},
          {"precision", short_decimal(curve.precision.at(at))},
          {"recall", short_decimal(curve.recall.at(at))}};
}

}  // namespace

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
  }
  return "";
}

std::string_view advice_for(MissCause cause) {
  switch (cause) {
    case MissCause::not_proposed:
      return "No proposal lay on the object: see that --anchor-sizes holds its size, enlarge small objects "
             "with "
             "a larger --short-side, or let more proposals through with --rpn-post-nms-top-n-test.";
    case MissCause::low_score:
      return "The object was looked at, and the score fell short of the recommended one: train for more "
             "--epochs, add images with objects that look like it, or accept lower scores and more mistakes.";
    case MissCause::lost_in_nms:
      return "A good box gave way to that of a neighbour of its class: raise --box-nms-thresh, or "
             "--box-detections-per-img where an image holds more objects than that.";
    case MissCause::wrong_class:
      return "The object was found as one of another class: see that the two are labelled alike everywhere, "
             "add "
             "images of the rarer one, or show finer detail with a larger --short-side.";
    case MissCause::poorly_placed:
      return "The object was found, but its box fits badly: see that the labelled boxes are drawn tightly, "
             "train "
             "for more --epochs, or place boxes more finely with a larger --short-side.";
  }
  return "";
}

std::string_view name_of(ObjectSize size) {
  return size == ObjectSize::small ? "small" : size == ObjectSize::medium ? "medium" : "large";
}

Json to_json(const Diagnosis& diagnosis, const Dataset& dataset) {
  Json json;
  json["recommended_all"] = recommended(diagnosis.all);
  json["recommended"] = Json::object();
  json["confusion_labels"] = Json::array({"background"});
  for (size_t c = 0; c < dataset.classes.size(); ++c) {
    json["recommended"][dataset.classes[c]] = recommended(diagnosis.classes.at(c));
    json["confusion_labels"].push_back(dataset.classes[c]);
  }
  json["confusion"] = diagnosis.confusion;
  for (size_t s = 0; s < diagnosis.objects_by_size.size(); ++s) {
    Json& of_size = json["sizes"][std::string(name_of(static_cast<ObjectSize>(s)))];
    of_size["objects"] = diagnosis.objects_by_size[s];
    for (size_t cause = 0; cause < kMissCauses; ++cause)
      of_size["misses"][std::string(name_of(static_cast<MissCause>(cause)))] =
          diagnosis.misses_by_size[s][cause];
  }
  return json;
}

}  // namespace rcnn
