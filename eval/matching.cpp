#include "eval/matching.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "kernels/boxes/box_math.h"

namespace rcnn {
namespace {

BoxOf<double> in_double(const Box& box) {
  return {double{box.x1}, double{box.y1}, double{box.x2}, double{box.y2}};
}

void check_detection(const Detection& detection, const Dataset& dataset) {
  check(detection.image >= 0 && static_cast<size_t>(detection.image) < dataset.samples.size(),
        "a detection in image {} of {} cannot be evaluated", detection.image, dataset.samples.size());
  check(detection.label >= 1 && static_cast<size_t>(detection.label) <= dataset.classes.size(),
        "a detection of label {} cannot be evaluated: the labels are 1 to {}", detection.label,
        dataset.classes.size());
  check(!std::isnan(detection.score), "a detection with the score NaN cannot be evaluated");
}

/// Whether at least the share `min_share` of the box lies in one crowd region of the class. This is COCO's
/// rule; a crowd region is much larger than the boxes in it, so intersection over union would be meaningless.
bool lies_in_crowd(const Box& box, int label, const std::vector<Object>& objects, double min_share) {
  return std::any_of(objects.begin(), objects.end(), [&](const Object& object) {
    if (!object.crowd || object.label != label) return false;
    const Box inside{std::max(box.x1, object.box.x1), std::max(box.y1, object.box.y1),
                     std::min(box.x2, object.box.x2), std::min(box.y2, object.box.y2)};
    return overlap(box, inside) >= min_share;  // the IoU of a box and a part of it is the part's share
  });
}

}  // namespace

double overlap(const Box& a, const Box& b) { return kernels::iou(in_double(a), in_double(b)); }

NearestObject nearest_object(const Box& box, int label, const std::vector<Object>& objects) {
  NearestObject nearest;
  for (size_t i = 0; i < objects.size(); ++i) {
    if (objects[i].label != label || objects[i].crowd) continue;
    const double with = overlap(box, objects[i].box);
    if (with > nearest.overlap) nearest = {static_cast<int>(i), with};
  }
  return nearest;
}

int64_t count_truths(int label, const Dataset& dataset) {
  int64_t count = 0;
  for (const Sample& sample : dataset.samples)
    count += std::count_if(sample.objects.begin(), sample.objects.end(), [label](const Object& object) {
      return object.label == label && !is_ignored(object);
    });
  return count;
}

std::vector<size_t> ranked(const std::vector<Detection>& detections, const Dataset& dataset) {
  for (const Detection& detection : detections) check_detection(detection, dataset);
  std::vector<size_t> ranking(detections.size());
  std::iota(ranking.begin(), ranking.end(), size_t{0});
  std::stable_sort(ranking.begin(), ranking.end(), [&](size_t i, size_t j) {
    const Detection &a = detections[i], &b = detections[j];
    return a.score != b.score ? a.score > b.score : a.image < b.image;
  });
  return ranking;
}

std::vector<Judgement> judge(const std::vector<Detection>& detections, const std::vector<size_t>& ranking,
                             const Dataset& dataset, double iou_threshold) {
  std::vector<std::vector<bool>> taken(dataset.samples.size());
  for (size_t image = 0; image < taken.size(); ++image)
    taken[image].resize(dataset.samples[image].objects.size());

  std::vector<Judgement> judgements(detections.size());
  for (const size_t i : ranking) {
    const Detection& detection = detections[i];
    const auto image = static_cast<size_t>(detection.image);
    const std::vector<Object>& objects = dataset.samples[image].objects;
    const NearestObject nearest = nearest_object(detection.box, detection.label, objects);
    Outcome outcome = Outcome::wrong;
    if (nearest.object < 0 || nearest.overlap < iou_threshold) {
      if (lies_in_crowd(detection.box, detection.label, objects, iou_threshold)) outcome = Outcome::ignored;
    } else if (objects[static_cast<size_t>(nearest.object)].difficult) {
      outcome = Outcome::ignored;
    } else if (!taken[image][static_cast<size_t>(nearest.object)]) {
      taken[image][static_cast<size_t>(nearest.object)] = true;
      outcome = Outcome::right;
    }
    judgements[i] = {outcome, nearest};
  }
  return judgements;
}

}  // namespace rcnn
