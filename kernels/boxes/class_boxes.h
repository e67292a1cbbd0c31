// Candidate detections: one for every RoI and every class whose probability is high enough. The box of a
// candidate is the RoI, moved by the deltas of that class (or by deltas that all classes share) and clipped
// to the image. NMS within each class follows.
#pragma once

#include "kernels/boxes/box_math.h"
#include "kernels/op.h"

namespace rcnn::kernels {

struct ClassBoxesArgs {
  int64_t n = 0, r = 0, c = 0;           // images, RoIs per image, classes; class 0 is the background
  const float* probabilities = nullptr;  // (N, R, C)
  const float* deltas = nullptr;         // (N, R, C, 4)
  const float* rois = nullptr;           // (N, R, 4)
  const int32_t* count = nullptr;        // (N): RoIs that are not padding
  const float* image_size = nullptr;     // (N, 2): height, width
  float weights[4] = {1, 1, 1, 1};       // factors of dx, dy, dw and dh: see decode
  float score_threshold = 0;             // only probabilities above it are used, so NaN is not
  float min_size = 0;                    // minimum side, in pixels
  float* boxes = nullptr;                // (N, R (C - 1), 4), in the order (RoI, class)
  float* scores = nullptr;               // (N, R (C - 1))
  // (N, R (C - 1)): the class, 1 or more, or -1 for a row that must not be used, whose box and score are then
  // 0: the RoI is padding, the probability is too low, a side is shorter than min_size after clipping, or the
  // box is not finite.
  int32_t* labels = nullptr;
  float plus_one = 0;  // 1: corners are whole pixels (see spanned, decode and clip)
  float max_log_scale = static_cast<float>(kMaxLogScale);  // `limit` of decode; infinity: none
  bool class_agnostic = false;  // deltas are (N, R, 1, 4): all classes of a RoI share them
};

Run<ClassBoxesArgs> class_boxes_reference, class_boxes_thread_per_row;

// clang-format off
inline constexpr Technique<ClassBoxesArgs> class_boxes_techniques[] = {
    {"thread_per_row", on_cuda, class_boxes_thread_per_row},
    {"reference", on_cpu, class_boxes_reference},
};
// clang-format on
inline constexpr Op class_boxes{"class_boxes", "class_boxes", column<0>(class_boxes_techniques)};

}  // namespace rcnn::kernels
