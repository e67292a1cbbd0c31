// Sigmoid cross-entropy of objectness labels over the levels of a pyramid: the classification loss of the
// region proposal network.
//
//     loss = sum over labels z >= 0 of (max(x, 0) - x z + log1p(exp(-|x|))) / max(1, count)
//
// where x is the logit and count the number of labels >= 0. Each term equals log(1 + exp(x)) - x z, in a form
// that does not overflow. A logit whose label is -1 is ignored: its gradient is 0, whatever its value.
#pragma once

#include "kernels/levels.h"
#include "kernels/op.h"

namespace rcnn::kernels {

template <class T>
struct SigmoidCrossEntropyArgs {
  int64_t n = 0;
  int levels = 0;
  LevelView<const T> logits[kMaxLevels] = {};  // (N, rows of the level)
  const int32_t* labels = nullptr;  // (N, rows of all levels, one after the other): 1, 0, or -1 (ignored)
  T* loss = nullptr;                // one value
};

/// dlogit = dloss (sigmoid(x) - z) / max(1, count); 0 where the label is -1.
template <class T>
struct SigmoidCrossEntropyBackwardArgs {
  int64_t n = 0;
  int levels = 0;
  LevelView<const T> logits[kMaxLevels] = {};
  const int32_t* labels = nullptr;
  const T* dloss = nullptr;               // one value
  LevelView<T> dlogits[kMaxLevels] = {};  // as logits; null data: not needed
  Accumulate accumulate[kMaxLevels] = {};
};

template <class T>
void sigmoid_cross_entropy_reference(const Stream&, Workspace&, const SigmoidCrossEntropyArgs<T>& a);
template <class T>
void sigmoid_cross_entropy_backward_reference(const Stream&, Workspace&,
                                              const SigmoidCrossEntropyBackwardArgs<T>& a);
Run<SigmoidCrossEntropyArgs<float>> sigmoid_cross_entropy_thread_per_label;
Run<SigmoidCrossEntropyBackwardArgs<float>> sigmoid_cross_entropy_backward_thread_per_label;

// clang-format off
inline constexpr RealTechnique<SigmoidCrossEntropyArgs, SigmoidCrossEntropyBackwardArgs> sigmoid_cross_entropy_techniques[] = {
    {"thread_per_label", on_cuda, sigmoid_cross_entropy_thread_per_label,
     sigmoid_cross_entropy_backward_thread_per_label},
    {"reference", on_cpu, {sigmoid_cross_entropy_reference<float>, sigmoid_cross_entropy_reference<double>},
     {sigmoid_cross_entropy_backward_reference<float>, sigmoid_cross_entropy_backward_reference<double>}},
};
// clang-format on
inline constexpr Op sigmoid_cross_entropy{"sigmoid_cross_entropy", "sigmoid_cross_entropy",
                                          column<0>(sigmoid_cross_entropy_techniques)};
inline constexpr Op sigmoid_cross_entropy_backward{"sigmoid_cross_entropy_backward", "sigmoid_cross_entropy",
                                                   column<1>(sigmoid_cross_entropy_techniques)};

}  // namespace rcnn::kernels
