// How one anchor becomes a proposal.
#pragma once

#include "kernels/boxes/box_math.h"
#include "kernels/boxes/proposals.h"

namespace rcnn::kernels {

/// One row of the outputs: box, box_scores and group.
struct Proposal {
  Box box;
  float score;
  int32_t group;
};

/// The proposal of row `row` of level `level` in image `n`: `anchor`, moved by the deltas `delta` (4 values).
RCNN_HOST_DEVICE inline Proposal make_proposal(const ProposalsArgs& a, int64_t n, int level, int64_t row,
                                               const Box& anchor, const float* delta) {
  const float score = a.scores[level].data[n * a.scores[level].rows + row];
  const float min_size = a.min_size_scale ? a.min_size * a.min_size_scale[n] : a.min_size;
  Box inside;
  const bool usable = regress(a, n, anchor, delta, min_size, inside);
  if (!usable || score < a.min_score) return {{0, 0, 0, 0}, 0, -1};
  return {inside, score, level};
}

}  // namespace rcnn::kernels
