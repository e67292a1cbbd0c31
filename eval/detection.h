// What a detector finds on an image, and what it looked at on the way.
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

/// What the detector looked at on its way to the detections of one image; boxes in pixels of the original.
struct Trace {
  std::vector<Box> proposals;
  std::vector<Detection> before_nms;  // every class's box of every proposal with at least the score threshold
};

}  // namespace rcnn
