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
struct AddArgs {
  int64_t size;
  const T* a;
  const T* b;
  T* y;  // may be a or b
};

template <class T>
void weighted_sum_reference(const Stream&, Workspace&, const WeightedSumArgs<T>& a);
template <class T>
void weighted_sum_backward_reference(const Stream&, Workspace&, const WeightedSumBackwardArgs<T>& a);
template <class T>
void add_reference(const Stream&, Workspace&, const AddArgs<T>& a);

void weighted_sum_one_thread(const Stream&, Workspace&, const WeightedSumArgs<float>& a);
void weighted_sum_backward_one_thread(const Stream&, Workspace&, const WeightedSumBackwardArgs<float>& a);
void add_thread_per_four_elements(const Stream&, Workspace&, const AddArgs<float>& a);

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

inline constexpr Variant<AddArgs<float>, AddArgs<double>> add_variants[] = {
    OnCuda{"thread_per_four_elements", add_thread_per_four_elements},
    {DeviceType::cpu, "reference", add_reference<float>, add_reference<double>},
};
inline constexpr Op<AddArgs<float>, AddArgs<double>> add{"add", "add", add_variants};
// clang-format on

}  // namespace rcnn::kernels
