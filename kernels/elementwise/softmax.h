// Softmax: scores to probabilities.
//
//     probabilities[r, k] = exp(logits[r, k] - m) / sum_j exp(logits[r, j] - m),   m = max_j logits[r, j]
//
// The maximum is taken off so that no exponential overflows.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

template <class T>
struct SoftmaxArgs {
  int64_t rows, c;
  const T* logits;   // (rows, C)
  T* probabilities;  // (rows, C); may be logits
};

template <class T>
void softmax_reference(const Stream&, Workspace&, const SoftmaxArgs<T>& a);

void softmax_warp_per_row(const Stream&, Workspace&, const SoftmaxArgs<float>& a);

// clang-format off
inline constexpr Variant<SoftmaxArgs<float>, SoftmaxArgs<double>> softmax_variants[] = {
    OnCuda{"warp_per_row", softmax_warp_per_row},
    {DeviceType::cpu, "reference", softmax_reference<float>, softmax_reference<double>},
};
inline constexpr Op<SoftmaxArgs<float>, SoftmaxArgs<double>> softmax{"softmax", "softmax", softmax_variants};
// clang-format on

}  // namespace rcnn::kernels
