#pragma once

#include "kernels/cases.h"
#include "kernels/loss/softmax_cross_entropy.h"

namespace rcnn::kernels {

struct SoftmaxCrossEntropyCase {
  int64_t rows, c;
  int highest_label;  // labels are drawn from [-1, highest_label]
};

inline std::vector<SoftmaxCrossEntropyCase> softmax_cross_entropy_cases() {
  return {
      {7, 5, 4},  {131, 21, 20}, {67, 91, 90}, {2053, 2, 1},  // several chunks
      {5, 3, -1},                                             // every row ignored
      {0, 4, 3},                                              // no rows
  };
}

/// The RoI head of nano-fpn (4 images, 64 RoIs, 7 classes) and of R50-FPN (2 images, 512 RoIs, 91 classes).
inline std::vector<SoftmaxCrossEntropyCase> softmax_cross_entropy_bench_cases() {
  return {{4 * 64, 7, 6}, {2 * 512, 91, 90}};
}

RCNN_CASE_FIELDS(SoftmaxCrossEntropyCase, rows, c, highest_label)

template <class T>
SoftmaxCrossEntropyCase case_of(const SoftmaxCrossEntropyArgs<T>& a, ArgumentReader&) {
  return {a.rows, a.c, static_cast<int>(a.c) - 1};
}
template <class T>
SoftmaxCrossEntropyCase case_of(const SoftmaxCrossEntropyBackwardArgs<T>& a, ArgumentReader&) {
  return {a.rows, a.c, static_cast<int>(a.c) - 1};
}

/// Logits that are NaN in every ignored row.
template <class T>
Tensor padded_logits(const SoftmaxCrossEntropyCase& c, const Tensor& labels, Filler& fill,
                     std::vector<Tensor>& keep) {
  const Tensor logits = fill.numbers<T>(keep, {c.rows, c.c});
  for (int64_t row = 0; row < c.rows; ++row)
    if (labels.data<int32_t>()[row] < 0)
      std::fill_n(logits.mutable_data<T>() + row * c.c, c.c, std::numeric_limits<T>::quiet_NaN());
  return logits;
}

template <class T>
Prepared<SoftmaxCrossEntropyArgs<T>> prepare_softmax_cross_entropy(const SoftmaxCrossEntropyCase& c,
                                                                   Filler fill) {
  Prepared<SoftmaxCrossEntropyArgs<T>> p;
  const Tensor labels = fill.integers(p.inputs, {c.rows}, -1, c.highest_label);
  const Tensor logits = padded_logits<T>(c, labels, fill, p.inputs);
  const Tensor loss = fill.poisoned<T>(p.outputs, {});
  p.args = {.rows = c.rows,
            .c = c.c,
            .logits = logits.data<T>(),
            .labels = labels.data<int32_t>(),
            .loss = loss.mutable_data<T>()};
  p.match = Match::relative;
  p.tolerance = 1e-6;
  return p;
}

template <class T>
Prepared<SoftmaxCrossEntropyBackwardArgs<T>> prepare_softmax_cross_entropy_backward(
    const SoftmaxCrossEntropyCase& c, Filler fill) {
  Prepared<SoftmaxCrossEntropyBackwardArgs<T>> p;
  const Tensor labels = fill.integers(p.inputs, {c.rows}, -1, c.highest_label);
  const Tensor logits = padded_logits<T>(c, labels, fill, p.inputs);
  const Tensor dloss = fill.numbers<T>(p.inputs, {});
  const Tensor dlogits = fill.output<T>(p.outputs, {c.rows, c.c});
  p.args = {.rows = c.rows,
            .c = c.c,
            .logits = logits.data<T>(),
            .labels = labels.data<int32_t>(),
            .dloss = dloss.data<T>(),
            .dlogits = dlogits.mutable_data<T>(),
            .accumulate = fill.accumulate()};
  p.match = Match::relative;
  p.tolerance = 1e-6;
  return p;
}

RCNN_OP_CASES(softmax_cross_entropy, softmax_cross_entropy_cases, softmax_cross_entropy_bench_cases,
              prepare_softmax_cross_entropy<T>)
RCNN_OP_CASES(softmax_cross_entropy_backward, softmax_cross_entropy_cases, softmax_cross_entropy_bench_cases,
              prepare_softmax_cross_entropy_backward<T>)

}  // namespace rcnn::kernels
