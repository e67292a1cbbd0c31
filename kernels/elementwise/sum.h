// The weighted sum of single values: the loss terms of a model.
//
//     y = sum_i weights[i] * values[i]
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

inline constexpr int kMaxTerms = 16;

template <class T>
struct WeightedSumArgs {
  int terms = 0;                    // at most kMaxTerms
  const T* values[kMaxTerms] = {};  // one value each
  double weights[kMaxTerms] = {};
  T* y = nullptr;  // one value
};

/// dvalues[i] = weights[i] dy.
template <class T>
struct WeightedSumBackwardArgs {
  int terms = 0;
  double weights[kMaxTerms] = {};
  const T* dy = nullptr;       // one value
  T* dvalues[kMaxTerms] = {};  // one value each; null: not needed
  Accumulate accumulate[kMaxTerms] = {};
};

template <class T>
void weighted_sum_reference(const Stream&, Workspace&, const WeightedSumArgs<T>& a);
template <class T>
void weighted_sum_backward_reference(const Stream&, Workspace&, const WeightedSumBackwardArgs<T>& a);

Run<WeightedSumArgs<float>> weighted_sum_one_thread;
Run<WeightedSumBackwardArgs<float>> weighted_sum_backward_one_thread;

// clang-format off
inline constexpr RealTechnique<WeightedSumArgs, WeightedSumBackwardArgs> weighted_sum_techniques[] = {
    {"one_thread", on_cuda, weighted_sum_one_thread, weighted_sum_backward_one_thread},
    {"reference", on_cpu, {weighted_sum_reference<float>, weighted_sum_reference<double>},
     {weighted_sum_backward_reference<float>, weighted_sum_backward_reference<double>}},
};
// clang-format on
inline constexpr Op weighted_sum{"weighted_sum", "weighted_sum", column<0>(weighted_sum_techniques)};
inline constexpr Op weighted_sum_backward{"weighted_sum_backward", "weighted_sum",
                                          column<1>(weighted_sum_techniques)};

}  // namespace rcnn::kernels
