// Smooth L1 loss of box deltas (Girshick, "Fast R-CNN", equation 3) over the levels of a pyramid: the box
// loss of the region proposal network (several levels, one column) and of the RoI head (one level, one column
// per class).
//
//     loss = sum over labels > 0 and the four deltas of h(prediction - target) / max(1, count)
//     h(d) = d^2 / (2 beta) where |d| < beta, else |d| - beta / 2
//
// where count is the number of labels >= 0, so the box loss has the same divisor as the classification loss
// that is added to it. A row's prediction is read from the column of its label, or from the only column. All
// other values are ignored: their gradients are 0, whatever they hold.
#pragma once

#include "kernels/levels.h"
#include "kernels/op.h"

namespace rcnn::kernels {

template <class T>
struct SmoothL1Args {
  int64_t n = 0;
  int levels = 0;
  LevelView<const T> prediction[kMaxLevels] = {};  // (N, rows of the level, columns, 4)
  int64_t columns = 1;                             // 1, or the number of classes, background included
  const float* targets = nullptr;                  // (N, rows of all levels, one after the other, 4)
  const int32_t* labels = nullptr;  // (N, rows of all levels), less than `columns` unless that is 1
  float beta = 0;                   // 0: plain L1
  T* loss = nullptr;                // one value
};

/// dprediction = dloss h'(prediction - target) / max(1, count), where h'(d) is d / beta or the sign of d.
template <class T>
struct SmoothL1BackwardArgs {
  int64_t n = 0;
  int levels = 0;
  LevelView<const T> prediction[kMaxLevels] = {};
  int64_t columns = 1;
  const float* targets = nullptr;
  const int32_t* labels = nullptr;
  float beta = 0;
  const T* dloss = nullptr;                   // one value
  LevelView<T> dprediction[kMaxLevels] = {};  // as prediction; null data: not needed
  Accumulate accumulate[kMaxLevels] = {};
};

template <class T>
void smooth_l1_reference(const Stream&, Workspace&, const SmoothL1Args<T>& a);
template <class T>
void smooth_l1_backward_reference(const Stream&, Workspace&, const SmoothL1BackwardArgs<T>& a);
Run<SmoothL1Args<float>> smooth_l1_thread_per_label;
Run<SmoothL1BackwardArgs<float>> smooth_l1_backward_thread_per_column;

// clang-format off
inline constexpr RealTechnique<SmoothL1Args, SmoothL1BackwardArgs> smooth_l1_techniques[] = {
    {"thread_per_label", on_cuda, smooth_l1_thread_per_label, nullptr},
    {"thread_per_column", on_cuda, nullptr, smooth_l1_backward_thread_per_column},
    {"reference", on_cpu, {smooth_l1_reference<float>, smooth_l1_reference<double>},
     {smooth_l1_backward_reference<float>, smooth_l1_backward_reference<double>}},
};
// clang-format on
inline constexpr Op smooth_l1{"smooth_l1", "smooth_l1", column<0>(smooth_l1_techniques)};
inline constexpr Op smooth_l1_backward{"smooth_l1_backward", "smooth_l1", column<1>(smooth_l1_techniques)};

}  // namespace rcnn::kernels
