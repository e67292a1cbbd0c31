// The list of all ops. Tests, `rcnn lab`, and `--kernel` with its help walk it.
#pragma once

#include <set>
#include <string>

#include "kernels/boxes/anchors.h"
#include "kernels/boxes/box_targets.h"
#include "kernels/boxes/class_boxes.h"
#include "kernels/boxes/gather_boxes.h"
#include "kernels/boxes/match.h"
#include "kernels/boxes/nms.h"
#include "kernels/boxes/proposals.h"
#include "kernels/boxes/sample.h"
#include "kernels/boxes/select_rois.h"
#include "kernels/boxes/top_k.h"
#include "kernels/elementwise/dropout.h"
#include "kernels/elementwise/logit_difference.h"
#include "kernels/elementwise/softmax.h"
#include "kernels/elementwise/sum.h"
#include "kernels/gemm/conv2d.h"
#include "kernels/gemm/epilogue.h"
#include "kernels/gemm/matmul.h"
#include "kernels/loss/sigmoid_cross_entropy.h"
#include "kernels/loss/smooth_l1.h"
#include "kernels/loss/softmax_cross_entropy.h"
#include "kernels/norm/batch_norm.h"
#include "kernels/norm/group_norm.h"
#include "kernels/optim/moving_average.h"
#include "kernels/optim/sgd.h"
#include "kernels/roi/roi_align.h"
#include "kernels/roi/roi_pool.h"
#include "kernels/spatial/average_pool.h"
#include "kernels/spatial/max_pool.h"
#include "kernels/spatial/preprocess.h"
#include "kernels/spatial/upsample_add.h"

namespace rcnn::kernels {

/// Calls f(op) for every op of the engine. An op that is added here needs cases: see kernels/op_cases.h.
template <class F>
void for_each_op(F f) {
  f(conv2d);
  f(conv2d_dx);
  f(conv2d_dw);
  f(matmul);
  f(epilogue_backward);
  f(batch_norm);
  f(batch_norm_backward);
  f(batch_norm_moments);
  f(sync_batch_norm);
  f(batch_norm_gradient_sums);
  f(sync_batch_norm_backward);
  f(fold_batch_norm);
  f(group_norm);
  f(group_norm_backward);
  f(max_pool);
  f(max_pool_backward);
  f(average_pool);
  f(average_pool_backward);
  f(upsample_add);
  f(upsample_add_backward);
  f(preprocess);
  f(anchors);
  f(top_k);
  f(proposals);
  f(nms);
  f(gather_boxes);
  f(match);
  f(sample);
  f(box_targets);
  f(select_rois);
  f(roi_align);
  f(roi_align_backward);
  f(roi_pool);
  f(roi_pool_backward);
  f(dropout);
  f(softmax);
  f(softmax_cross_entropy);
  f(softmax_cross_entropy_backward);
  f(sigmoid_cross_entropy);
  f(sigmoid_cross_entropy_backward);
  f(logit_difference);
  f(logit_difference_backward);
  f(smooth_l1);
  f(smooth_l1_backward);
  f(weighted_sum);
  f(weighted_sum_backward);
  f(class_boxes);
  f(clip_gradients);
  f(sgd);
  f(moving_average);
}

/// What `--kernel` can name.
inline std::set<std::string> op_families() {
  std::set<std::string> families;
  for_each_op([&](const auto& op) { families.insert(op.family); });
  return families;
}

}  // namespace rcnn::kernels
