// Candidate detections: every RoI with every class whose probability is high enough, its box moved by that
// class's regression, or by the one that all classes share, and clipped to the image. NMS by class follows.
#pragma once

#include "kernels/boxes/box_math.h"
#include "kernels/op.h"

namespace rcnn::kernels {

struct ClassBoxesArgs {
  int64_t n = 0, r = 0, c = 0;  // images, RoIs an image, classes with the background, which is class 0
  const float* probabilities = nullptr;  // (N, R, C)
  const float* deltas = nullptr;         // (N, R, C, 4)
  const float* rois = nullptr;           // (N, R, 4)
  const int32_t* count = nullptr;        // (N): RoIs that are not padding
  const float* image_size = nullptr;     // (N, 2): height, width
  float weights[4] = {1, 1, 1, 1};       // of the box coding: see decode
  float score_threshold = 0;             // only probabilities above it are used, a NaN never
  float min_size = 0;                    // shortest side, in pixels
  float* boxes = nullptr;                // (N, R (C - 1), 4), in the order (RoI, class)
  float* scores = nullptr;               // (N, R (C - 1))
  int32_t* labels = nullptr;  // (N, R (C - 1)): class, 1 or more, or -1 for a row that is not to be used:
                              // padding, score too low, a side shorter than min_size after clipping, or a
                              // box that is not finite. Its box and score are 0.
  float plus_one = 0;         // 1: corners are whole pixels (see spanned, decode and clip)
  float max_log_scale = static_cast<float>(kMaxLogScale);  // of decode; infinity: no limit
  bool class_agnostic = false;  // deltas are (N, R, 1, 4): all classes of a RoI have the same
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
