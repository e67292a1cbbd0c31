// How a row is matched with a ground truth.
#pragma once

#include "kernels/boxes/box_math.h"
#include "kernels/boxes/match.h"

namespace rcnn::kernels {

/// The arguments for one image.
struct MatchImage {
  const float* boxes;
  int64_t rows;  // without padding
  const float* gt;
  int64_t gt_count;
  int32_t* matched;
  float plus_one;
  const float* size;  // height and width, or null

  RCNN_HOST_DEVICE MatchImage(const MatchArgs& a, int64_t n)
      : boxes(a.boxes + n * a.box_stride),
        rows(a.row_count ? a.row_count[n] : a.r),
        gt(a.gt + n * a.g * 4),
        gt_count(a.gt_count[n]),
        matched(a.matched + n * a.r),
        plus_one(a.plus_one),
        size(a.image_size ? a.image_size + n * 2 : nullptr) {}

  /// Whether a row that is not padding and has this box may be matched.
  RCNN_HOST_DEVICE bool takes_part(const Box& box) const { return !size || is_inside(box, size[0], size[1]); }
  RCNN_HOST_DEVICE bool takes_part(int64_t row) const {
    return row < rows && takes_part(load_box(boxes + row * 4));
  }
  RCNN_HOST_DEVICE float overlap(int64_t row, int64_t g) const {
    return iou(spanned(load_box(boxes + row * 4), plus_one), spanned(load_box(gt + g * 4), plus_one));
  }
};

/// The ground truth that a row overlaps most, the first of several equal ones. `offer` takes the ground
/// truths in their order.
struct BestMatch {
  float overlap = 0;
  int32_t gt = 0;

  RCNN_HOST_DEVICE void offer(float with, int64_t g) {
    if (!(with > overlap)) return;
    overlap = with;
    gt = static_cast<int32_t>(g);
  }
};

/// The value of `matched` before promotion, for a row of an image that has ground truth.
RCNN_HOST_DEVICE inline int32_t decide(const BestMatch& best, const MatchArgs& a) {
  return best.overlap >= a.high ? best.gt : best.overlap < a.low ? -1 : -2;
}

/// Promotes a row that overlaps some ground truth as much as any row does (`best_of_gt`): matches it with the
/// ground truth that it overlaps most. A row that takes no part stays as it is.
RCNN_HOST_DEVICE inline void promote(const MatchImage& image, const float* best_of_gt, int64_t row) {
  if (!image.takes_part(row)) return;
  BestMatch best;
  bool promoted = false;
  for (int64_t g = 0; g < image.gt_count; ++g) {
    const float overlap = image.overlap(row, g);
    if (overlap > 0 && overlap == best_of_gt[g]) promoted = true;
    best.offer(overlap, g);
  }
  if (promoted) image.matched[row] = best.gt;
}

}  // namespace rcnn::kernels
