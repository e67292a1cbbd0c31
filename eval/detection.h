// The detections on an image, and the intermediate results that led to them.
#pragma once

#include <vector>

#include "data/dataset.h"

namespace rcnn {

struct Detection {
  int image = 0;  // index into Dataset::samples
  int label = 0;  // 1..C
  float score = 0;
  Box box;  // in pixels of the original image
};

/// Intermediate results of detecting on one image, with boxes in pixels of the original image.
struct Trace {
  std::vector<Box> proposals;
  std::vector<Detection>
      before_nms;  // the box of each class in each proposal that reaches the score threshold
};

}  // namespace rcnn
