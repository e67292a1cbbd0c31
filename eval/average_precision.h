// Average precision as the Pascal VOC devkit defines it (Everingham et al., IJCV 2010 and 2015).
//
// Detections are right, wrong or ignored, as eval/matching.h defines it. After each detection of the list,
// best score first, precision = right / (right + wrong) and recall = right / truths.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/matching.h"

namespace rcnn {

struct ClassResult {
  std::string name;
  int64_t truths = 0;      // ground-truth objects that are neither difficult nor a crowd
  int64_t detections = 0;  // all detections of the class, including ignored ones
  /// Area under the precision-recall curve, with precision made monotone from the right (since VOC 2010).
  double ap_area = 0;
  /// Mean of the best precision at recall >= 0, .1, ..., 1 (VOC 2007).
  double ap_11point = 0;
  /// The precision-recall curve, one value per detection that is not ignored, best score first. Recall is 0
  /// if there are no truths.
  std::vector<float> precision, recall, score;
};

struct VocResult {
  std::vector<ClassResult> classes;  // classes[l - 1] is the result of label l
  /// Means over the classes that have truths; 0 if no class has any.
  double map_area = 0, map_11point = 0;
};

/// Detections of equal score are ordered by image, then by position in `detections`. Throws Error for a
/// detection whose image or label is out of range or whose score is NaN.
VocResult evaluate_voc(const std::vector<Detection>& detections, const Dataset& dataset,
                       double iou_threshold = 0.5);

}  // namespace rcnn
