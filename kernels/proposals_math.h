// What becomes of one anchor.
#pragma once

#include "kernels/box_math.h"
#include "kernels/proposals.h"

namespace rcnn::kernels {

/// A row of the outputs: box, box_scores and group.
struct Proposal {
  Box<float> box;
  float score;
  int32_t group;
};

/// Row `row` of level `level` of image `n`, whose regression of `anchor` is `delta` (4 values).
RCNN_HOST_DEVICE inline Proposal make_proposal(const ProposalsArgs& a, int64_t n, int level, int64_t row,
                                               const Box<float>& anchor, const float* delta) {
  const Box<float> box = decode(anchor, delta, a.weights);
  const Box<float> inside = clip(box, a.image_size[n * 2], a.image_size[n * 2 + 1]);
  if (!is_finite(box) || !is_large_enough(inside, a.min_size)) return {{0, 0, 0, 0}, 0, -1};
  return {inside, a.scores[level].data[n * a.scores[level].rows + row], level};
}

}  // namespace rcnn::kernels
