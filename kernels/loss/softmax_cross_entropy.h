// Softmax cross-entropy of class labels: the classification loss of the RoI head.
//
//     loss = sum over labels >= 0 of (log sum_j exp(logits[r, j]) - logits[r, label]) / max(1, count)
//
// where r is the label's row and count the number of labels >= 0. A row whose label is -1 (padding, or not
// sampled) is ignored: its gradient is 0, whatever its logits.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

template <class T>
struct SoftmaxCrossEntropyArgs {
  int64_t rows = 0, c = 0;
  const T* logits = nullptr;        // (rows, C)
  const int32_t* labels = nullptr;  // (rows), each -1 (ignored) or in [0, C)
  T* loss = nullptr;                // one value
};

/// dlogits[r, k] = dloss (softmax(logits[r])[k] - (k == label)) / max(1, count); 0 where the label is -1.
template <class T>
struct SoftmaxCrossEntropyBackwardArgs {
  int64_t rows = 0, c = 0;
  const T* logits = nullptr;        // (rows, C)
  const int32_t* labels = nullptr;  // (rows)
  const T* dloss = nullptr;         // one value
  T* dlogits = nullptr;             // (rows, C)
  Accumulate accumulate = Accumulate::no;
};

template <class T>
void softmax_cross_entropy_reference(const Stream&, Workspace&, const SoftmaxCrossEntropyArgs<T>& a);
template <class T>
void softmax_cross_entropy_backward_reference(const Stream&, Workspace&,
                                              const SoftmaxCrossEntropyBackwardArgs<T>& a);
Run<SoftmaxCrossEntropyArgs<float>> softmax_cross_entropy_warp_per_row;
Run<SoftmaxCrossEntropyBackwardArgs<float>> softmax_cross_entropy_backward_warp_per_row;

// clang-format off
inline constexpr RealTechnique<SoftmaxCrossEntropyArgs, SoftmaxCrossEntropyBackwardArgs> softmax_cross_entropy_techniques[] = {
    {"warp_per_row", on_cuda, softmax_cross_entropy_warp_per_row,
     softmax_cross_entropy_backward_warp_per_row},
    {"reference", on_cpu, {softmax_cross_entropy_reference<float>, softmax_cross_entropy_reference<double>},
     {softmax_cross_entropy_backward_reference<float>, softmax_cross_entropy_backward_reference<double>}},
};
// clang-format on
inline constexpr Op softmax_cross_entropy{"softmax_cross_entropy", "softmax_cross_entropy",
                                          column<0>(softmax_cross_entropy_techniques)};
inline constexpr Op softmax_cross_entropy_backward{"softmax_cross_entropy_backward", "softmax_cross_entropy",
                                                   column<1>(softmax_cross_entropy_techniques)};

}  // namespace rcnn::kernels
