// The weighted sum of single values: the loss terms of a model.
//
//     y = sum_i weights[i] * values[i]
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

inline constexpr int kMaxTerms = 16;

template <class T>
struct WeightedSumArgs {
  int terms;                   // at most kMaxTerms
  const T* values[kMaxTerms];  // one value each
  double weights[kMaxTerms];
  T* y;  // one value
};

/// dvalues[i] = weights[i] dy.
template <class T>
struct WeightedSumBackwardArgs {
  int terms;
  double weights[kMaxTerms];
  const T* dy;            // one value
  T* dvalues[kMaxTerms];  // one value each; null: not wanted
  Accumulate accumulate[kMaxTerms];
};

template <class T>
void weighted_sum_reference(const Stream&, Workspace&, const WeightedSumArgs<T>& a);
template <class T>
void weighted_sum_backward_reference(const Stream&, Workspace&, const WeightedSumBackwardArgs<T>& a);

void weighted_sum_one_thread(const Stream&, Workspace&, const WeightedSumArgs<float>& a);
void weighted_sum_backward_one_thread(const Stream&, Workspace&, const WeightedSumBackwardArgs<float>& a);

// clang-format off
inline constexpr Variant<WeightedSumArgs<float>, WeightedSumArgs<double>> weighted_sum_variants[] = {
    OnCuda{"one_thread", weighted_sum_one_thread},
    {DeviceType::cpu, "reference", weighted_sum_reference<float>, weighted_sum_reference<double>},
};
inline constexpr Op<WeightedSumArgs<float>, WeightedSumArgs<double>> weighted_sum{
    "weighted_sum", "weighted_sum", weighted_sum_variants};

inline constexpr Variant<WeightedSumBackwardArgs<float>, WeightedSumBackwardArgs<double>> weighted_sum_backward_variants[] = {
    OnCuda{"one_thread", weighted_sum_backward_one_thread},
    {DeviceType::cpu, "reference", weighted_sum_backward_reference<float>, weighted_sum_backward_reference<double>},
};
inline constexpr Op<WeightedSumBackwardArgs<float>, WeightedSumBackwardArgs<double>> weighted_sum_backward{
    "weighted_sum_backward", "weighted_sum", weighted_sum_backward_variants};
// clang-format on

}  // namespace rcnn::kernels
