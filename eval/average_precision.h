// Average precision as the Pascal VOC devkit defines it (Everingham et al., IJCV 2010 and 2015).
//
// Detections are right, wrong or ignored as eval/matching.h has it. Going down the list, best score first,
// precision = right / (right + wrong) and recall = right / truths.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/matching.h"

namespace rcnn {

struct ClassResult {
  std::string name;
  int64_t truths = 0;      // objects that are neither difficult nor a crowd
  int64_t detections = 0;  // all of the class, the ignored ones too
  /// Area under the curve after precision was made monotone from the right (VOC 2010 and later).
  double ap_area = 0;
  /// Mean of the best precision at recall 0, .1, ..., 1 or more (VOC 2007).
  double ap_11point = 0;
  /// The curve, one value a detection that is not ignored, best score first. Without truths recall is 0.
  std::vector<float> precision, recall, score;
};

struct VocResult {
  std::vector<ClassResult> classes;  // classes[l - 1] is that of label l
  /// Means over the classes with truths; 0 where there is none.
  double map_area = 0, map_11point = 0;
};

/// Equal scores are taken by (image, place in `detections`). Throws Error for a detection whose image or
/// label is out of range or whose score is NaN.
VocResult evaluate_voc(const std::vector<Detection>& detections, const Dataset& dataset,
                       double iou_threshold = 0.5);

}  // namespace rcnn
