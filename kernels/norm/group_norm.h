// Group normalisation (Wu and He, "Group Normalization", section 3) with the residual sum and the ReLU that
// follow it. The channels are cut into G groups of C / G. Each group of each image is normalised with the
// mean and the variance of its values, over height, width and the channels of the group:
//
//     y = relu(weight (x - mean) / sqrt(variance + eps) + bias + residual)
//
// An image does not depend on the others of its batch, so training works with one image as well as with many,
// and evaluation does the same as training.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

template <class T>
struct GroupNormArgs {
  int64_t n = 0, rows = 0, c = 0;  // rows = H W of one image
  int64_t groups = 1;              // divides C >= 1
  const T* x = nullptr;            // (N, rows, C)
  const T* weight = nullptr;       // (C)
  const T* bias = nullptr;         // (C)
  const T* residual = nullptr;     // (N, rows, C), or null
  bool relu = false;               // y = max(0, ...)
  T eps = 0;                       // added to the variance
  T* mean = nullptr;               // (N, G), written: saved for backward; 0 without rows
  T* inverse_deviation = nullptr;  // (N, G), written: 1 / sqrt(variance + eps)
  T* y = nullptr;                  // (N, rows, C)
};

/// Backward, through the mean and the variance too. With g = dy where y > 0, else 0 (dy itself without ReLU),
/// z = (x - mean) inverse_deviation, and M = rows C / G values in a group:
///
///     dweight = sum g z        dbias = sum g        dresidual = g
///     dx = inverse_deviation (weight g - sum_group(weight g) / M - z sum_group(weight g z) / M)
///
/// No output may overlap another output or an input.
template <class T>
struct GroupNormBackwardArgs {
  int64_t n = 0, rows = 0, c = 0;
  int64_t groups = 1;
  const T* x = nullptr;                  // (N, rows, C)
  const T* weight = nullptr;             // (C)
  const T* mean = nullptr;               // (N, G)
  const T* inverse_deviation = nullptr;  // (N, G)
  const T* y = nullptr;                  // (N, rows, C); null unless relu
  const T* dy = nullptr;                 // (N, rows, C)
  bool relu = false;
  T* dx = nullptr;  // (N, rows, C), or null: not needed
  Accumulate accumulate = Accumulate::no;
  T* dweight = nullptr;  // (C), or null
  Accumulate accumulate_weight = Accumulate::no;
  T* dbias = nullptr;  // (C), or null
  Accumulate accumulate_bias = Accumulate::no;
  T* dresidual = nullptr;  // (N, rows, C), or null
  Accumulate accumulate_residual = Accumulate::no;
};

template <class T>
void group_norm_reference(const Stream&, Workspace&, const GroupNormArgs<T>& a);
template <class T>
void group_norm_backward_reference(const Stream&, Workspace&, const GroupNormBackwardArgs<T>& a);

Run<GroupNormArgs<float>> group_norm_folded_rows;
Run<GroupNormBackwardArgs<float>> group_norm_backward_folded_rows;

Run<GroupNormArgs<float>> group_norm_two_level_sums;
Run<GroupNormBackwardArgs<float>> group_norm_backward_two_level_sums;

// clang-format off
inline constexpr RealTechnique<GroupNormArgs, GroupNormBackwardArgs> group_norm_techniques[] = {
    {"two_level_sums", on_cuda, group_norm_two_level_sums, group_norm_backward_two_level_sums},
    {"folded_rows", on_cpu, group_norm_folded_rows, group_norm_backward_folded_rows},
    {"reference", on_cpu, {group_norm_reference<float>, group_norm_reference<double>},
     {group_norm_backward_reference<float>, group_norm_backward_reference<double>}},
};
// clang-format on
inline constexpr Op group_norm{"group_norm", "group_norm", column<0>(group_norm_techniques)};
inline constexpr Op group_norm_backward{"group_norm_backward", "group_norm",
                                        column<1>(group_norm_techniques)};

}  // namespace rcnn::kernels
