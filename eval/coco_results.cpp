// Conversions between our datasets and COCO's numbers, declared in coco_metrics.h.
#include <unordered_map>

#include "core/error.h"
#include "eval/coco_metrics.h"

namespace rcnn {
namespace {

int64_t image_number(const Dataset& dataset, size_t sample) {
  return dataset.samples.at(sample).coco_id.value_or(static_cast<int64_t>(sample));
}

int64_t category_number(const Dataset& dataset, int label) {
  return dataset.category_ids.empty() ? label : dataset.category_ids.at(static_cast<size_t>(label - 1));
}

/// Converts corners to COCO's x, y, width and height, in double so that x + width is exactly x2.
template <class Boxed>
void set_box(Boxed& to, const Box& box) {
  to.x = double{box.x1};
  to.y = double{box.y1};
  to.width = double{box.x2} - to.x;
  to.height = double{box.y2} - to.y;
}

}  // namespace

std::vector<CocoAnnotation> coco_annotations(const Dataset& dataset) {
  std::vector<CocoAnnotation> annotations;
  for (size_t i = 0; i < dataset.samples.size(); ++i)
    for (const Object& object : dataset.samples[i].objects) {
      CocoAnnotation annotation;
      annotation.image = image_number(dataset, i);
      annotation.category = category_number(dataset, object.label);
      set_box(annotation, object.box);
      annotation.area = object.area > 0 ? object.area : annotation.width * annotation.height;
      annotation.crowd = object.crowd;
      annotation.ignore = object.difficult;
      annotations.push_back(annotation);
    }
  return annotations;
}

std::vector<CocoResult> coco_results(const std::vector<Detection>& detections, const Dataset& dataset) {
  std::vector<CocoResult> results;
  for (const Detection& detection : detections) {
    CocoResult result;
    result.image = image_number(dataset, static_cast<size_t>(detection.image));
    result.category = category_number(dataset, detection.label);
    set_box(result, detection.box);
    result.score = double{detection.score};
    results.push_back(result);
  }
  return results;
}

std::vector<Detection> detections_of(const std::vector<CocoResult>& results, const Dataset& dataset) {
  std::unordered_map<int64_t, int> image_of, label_of;
  for (size_t i = 0; i < dataset.samples.size(); ++i)
    image_of.emplace(image_number(dataset, i), static_cast<int>(i));
  for (int label = 1; label <= static_cast<int>(dataset.classes.size()); ++label)
    label_of.emplace(category_number(dataset, label), label);

  std::vector<Detection> detections;
  for (const CocoResult& r : results) {
    const auto image = image_of.find(r.image);
    const auto label = label_of.find(r.category);
    if (image == image_of.end() || label == label_of.end()) continue;
    detections.push_back({image->second,
                          label->second,
                          static_cast<float>(r.score),
                          {static_cast<float>(r.x), static_cast<float>(r.y),
                           static_cast<float>(r.x + r.width), static_cast<float>(r.y + r.height)}});
  }
  return detections;
}

CocoNumbers coco_numbers(const Dataset& dataset) {
  CocoNumbers numbers;
  for (size_t i = 0; i < dataset.samples.size(); ++i)
    numbers.images.emplace(dataset.samples[i].id, image_number(dataset, i));
  if (dataset.category_ids.empty())
    for (size_t i = 0; i < dataset.classes.size(); ++i)
      numbers.categories.emplace(dataset.classes[i], static_cast<int64_t>(i) + 1);
  return numbers;
}

}  // namespace rcnn
