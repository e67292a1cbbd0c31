// Softmax: turns scores into probabilities.
//
//     probabilities[r, k] = exp(logits[r, k] - m) / sum_j exp(logits[r, j] - m),   m = max_j logits[r, j]
//
// The maximum is subtracted so that no exponential overflows.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

template <class T>
struct SoftmaxArgs {
  int64_t rows = 0, c = 0;
  const T* logits = nullptr;   // (rows, C)
  T* probabilities = nullptr;  // (rows, C); may be logits
};

template <class T>
void softmax_reference(const Stream&, Workspace&, const SoftmaxArgs<T>& a);

Run<SoftmaxArgs<float>> softmax_warp_per_row;

// clang-format off
inline constexpr RealTechnique<SoftmaxArgs> softmax_techniques[] = {
    {"warp_per_row", on_cuda, softmax_warp_per_row},
    {"reference", on_cpu, {softmax_reference<float>, softmax_reference<double>}},
};
// clang-format on
inline constexpr Op softmax{"softmax", "softmax", column<0>(softmax_techniques)};

}  // namespace rcnn::kernels
