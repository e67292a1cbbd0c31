// Matching of detections to ground-truth objects by the rule of the Pascal VOC devkit.
//
// A box belongs to the object of its class and image that it overlaps most, provided that the overlap is at
// least `iou_threshold`. Overlap is the intersection over union (IoU) of continuous boxes, in double.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "eval/detection.h"

namespace rcnn {

/// Intersection over union; 0 for boxes that are empty, reversed or not finite.
double overlap(const Box& a, const Box& b);

struct NearestObject {
  int object = -1;     // index into the sample's objects; -1 if the box overlaps none
  double overlap = 0;  // the overlap with this object
};
/// The object of this class that the box overlaps most, the first one in case of a tie. Crowd regions are
/// skipped, because no detection belongs to a crowd region.
NearestObject nearest_object(const Box& box, int label, const std::vector<Object>& objects);

/// The number of ground-truth objects of this class that are not ignored.
int64_t count_truths(int label, const Dataset& dataset);

enum class Outcome { right, wrong, ignored };
struct Judgement {
  Outcome outcome = Outcome::wrong;
  NearestObject nearest;
};

/// The order in which detections are matched, as indices into `detections`: by descending score, then by
/// image, then by index. Throws Error for a detection whose image or label is out of range or whose score is
/// NaN.
std::vector<size_t> ranked(const std::vector<Detection>& detections, const Dataset& dataset);

/// Decides for each detection whether it is right, wrong or ignored. `ranking` is the result of `ranked`; the
/// results are in the order of `detections`. A detection is
/// - ignored if it belongs to a difficult object, or if it belongs to no object and a share of at least
///   `iou_threshold` of its area lies in one crowd region of its class,
/// - right if it is the first one in the ranking that belongs to its object,
/// - wrong otherwise, even if it sufficiently overlaps another object that is not taken yet.
///
/// The result for a detection does not depend on the detections that rank after it.
std::vector<Judgement> judge(const std::vector<Detection>& detections, const std::vector<size_t>& ranking,
                             const Dataset& dataset, double iou_threshold);

}  // namespace rcnn
