// Which detection belongs to which object: the Pascal VOC devkit's rule, for all of train/ that counts right
// and wrong.
//
// A box belongs to the object of its class and image that it overlaps most, if by `iou_threshold` or more.
// Overlap is intersection over union of continuous boxes, in double.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "eval/detection.h"

namespace rcnn {

/// Intersection over union; 0 for boxes that are empty, reversed or not finite.
double overlap(const Box& a, const Box& b);

struct NearestObject {
  int object = -1;     // index into the sample's objects; -1: the box overlaps none
  double overlap = 0;  // with it
};
/// The object of this class that the box overlaps most, the first of equals. Crowd regions are passed over:
/// nothing belongs to one of them.
NearestObject nearest_object(const Box& box, int label, const std::vector<Object>& objects);

/// The objects of this class that are to be found: those that are not ignored.
int64_t count_truths(int label, const Dataset& dataset);

enum class Outcome { right, wrong, ignored };
struct Judgement {
  Outcome outcome = Outcome::wrong;
  NearestObject nearest;
};

/// The order in which detections are judged: by falling score, equal ones by image, then by place. Gives
/// places in `detections`. Throws Error for one whose image or label is out of range or whose score is NaN.
std::vector<size_t> ranked(const std::vector<Detection>& detections, const Dataset& dataset);

/// Judges every detection, in the order of `detections`; `ranking` is what `ranked` gave. It is
/// - ignored when it belongs to a difficult object, or belongs to none and `iou_threshold` or more of its
///   area is in one crowd region of its class,
/// - right when it is the first that belongs to its object,
/// - wrong otherwise, also where another object that it overlaps enough, though less, is still free.
/// A detection's judgement does not depend on those that rank after it.
std::vector<Judgement> judge(const std::vector<Detection>& detections, const std::vector<size_t>& ranking,
                             const Dataset& dataset, double iou_threshold);

}  // namespace rcnn
