// Sums: of the loss terms of a model, weighted, and of two tensors.
//
//     weighted_sum:  y = sum_i weights[i] * values[i]         (single values)
//     add:           y[k] = a[k] + b[k]
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
  T* dvalues[kMaxTerms] = {};  // one value each; null: not wanted
  Accumulate accumulate[kMaxTerms] = {};
};

template <class T>
struct AddArgs {
  int64_t size = 0;
  const T* a = nullptr;
  const T* b = nullptr;
  T* y = nullptr;  // may be a or b
};

template <class T>
void weighted_sum_reference(const Stream&, Workspace&, const WeightedSumArgs<T>& a);
template <class T>
void weighted_sum_backward_reference(const Stream&, Workspace&, const WeightedSumBackwardArgs<T>& a);
template <class T>
void add_reference(const Stream&, Workspace&, const AddArgs<T>& a);

Run<WeightedSumArgs<float>> weighted_sum_one_thread;
Run<WeightedSumBackwardArgs<float>> weighted_sum_backward_one_thread;
Run<AddArgs<float>> add_thread_per_four_elements;

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

// clang-format off
inline constexpr RealTechnique<AddArgs> add_techniques[] = {
    {"thread_per_four_elements", on_cuda, add_thread_per_four_elements},
    {"reference", on_cpu, {add_reference<float>, add_reference<double>}},
};
// clang-format on
inline constexpr Op add{"add", "add", column<0>(add_techniques)};

}  // namespace rcnn::kernels
