#pragma once

#include "kernels/cases.h"
#include "kernels/loss/sigmoid_cross_entropy.h"

namespace rcnn::kernels {

struct SigmoidCrossEntropyCase {
  int64_t n;
  std::vector<int64_t> rows;  // of each level
  int sampled;                // expected number of labels >= 0 per thousand
  int unneeded = 1;           // the level whose gradient is not needed; -1: none
};

inline std::vector<SigmoidCrossEntropyCase> sigmoid_cross_entropy_cases() {
  return {
      {2, {13, 7, 5}, 600},     {1, {29}, 1000}, {3, {4, 0, 1, 9, 2, 3}, 500},  // six levels, one empty
      {2, {3001, 1409, 1}, 40},                                                 // several chunks
      {2, {5, 3}, 0},                                                           // every label ignored
      {0, {5, 3}, 500},         {2, {0}, 500},                                  // no labels
  };
}

/// The region proposal network of nano-fpn at 4 x 240 x 320 and of R50-FPN at 2 x 800 x 1344.
inline std::vector<SigmoidCrossEntropyCase> sigmoid_cross_entropy_bench_cases() {
  return {{4, {60 * 80 * 6, 30 * 40 * 6, 15 * 20 * 6}, 7},
          {2, {200 * 336 * 3, 100 * 168 * 3, 50 * 84 * 3, 25 * 42 * 3, 13 * 21 * 3}, 1}};
}

/// Labels that are 0 or 1 in `c.sampled` of a thousand rows, and -1 in the others.
inline Tensor sampled_labels(const SigmoidCrossEntropyCase& c, Filler& fill, std::vector<Tensor>& keep) {
  int64_t rows = 0;
  for (const int64_t level_rows : c.rows) rows += level_rows;
  const Tensor labels = fill.integers(keep, {c.n, rows}, 0, 999);
  for (int32_t& label : labels.mutable_values<int32_t>()) label = label < c.sampled ? label % 2 : -1;
  return labels;
}

RCNN_CASE_FIELDS(SigmoidCrossEntropyCase, n, rows, sampled, unneeded)

/// Labels >= 0 per thousand.
inline int sampled_of(std::span<const int32_t> labels) {
  const auto sampled = std::count_if(labels.begin(), labels.end(), [](int32_t label) { return label >= 0; });
  return static_cast<int>(1000 * sampled / std::max<int64_t>(1, std::ssize(labels)));
}

template <class T>
SigmoidCrossEntropyCase case_of(const SigmoidCrossEntropyArgs<T>& a, ArgumentReader& reader) {
  const int64_t labels = a.n * total_rows(a.logits, a.levels);
  return {a.n, rows_of_levels(a.logits, a.levels), sampled_of(reader.read(a.labels, labels)), -1};
}
template <class T>
SigmoidCrossEntropyCase case_of(const SigmoidCrossEntropyBackwardArgs<T>& a, ArgumentReader& reader) {
  const int64_t labels = a.n * total_rows(a.logits, a.levels);
  return {a.n, rows_of_levels(a.logits, a.levels), sampled_of(reader.read(a.labels, labels)),
          first_null(a.dlogits, a.levels)};
}

/// Sets args.n, levels, labels and logits. Logits that are ignored are NaN.
template <class T, class Args>
void prepare_levels(const SigmoidCrossEntropyCase& c, Filler& fill, Prepared<Args>& p) {
  const Tensor labels = sampled_labels(c, fill, p.inputs);
  p.args.n = c.n;
  p.args.levels = static_cast<int>(c.rows.size());
  p.args.labels = labels.data<int32_t>();
  int64_t before = 0;  // rows of the previous levels
  for (size_t level = 0; level < c.rows.size(); ++level) {
    const int64_t rows = c.rows[level];
    const Tensor logits = fill.numbers<T>(p.inputs, {c.n, rows});
    T* values = logits.mutable_data<T>();
    for (int64_t i = 0; i < c.n * rows; ++i)
      if (p.args.labels[i / rows * labels.dim(1) + before + i % rows] < 0)
        values[i] = std::numeric_limits<T>::quiet_NaN();
    p.args.logits[level] = {values, rows};
    before += rows;
  }
  p.match = Match::relative;
  p.tolerance = 1e-6;
}

template <class T>
Prepared<SigmoidCrossEntropyArgs<T>> prepare_sigmoid_cross_entropy(const SigmoidCrossEntropyCase& c,
                                                                   Filler fill) {
  Prepared<SigmoidCrossEntropyArgs<T>> p;
  prepare_levels<T>(c, fill, p);
  p.args.loss = fill.poisoned<T>(p.outputs, {}).template mutable_data<T>();
  return p;
}

template <class T>
Prepared<SigmoidCrossEntropyBackwardArgs<T>> prepare_sigmoid_cross_entropy_backward(
    const SigmoidCrossEntropyCase& c, Filler fill) {
  Prepared<SigmoidCrossEntropyBackwardArgs<T>> p;
  prepare_levels<T>(c, fill, p);
  p.args.dloss = fill.numbers<T>(p.inputs, {}).template data<T>();
  for (size_t level = 0; level < c.rows.size(); ++level) {
    if (static_cast<int>(level) == c.unneeded) continue;
    const Tensor gradient = fill.output<T>(p.outputs, {c.n, c.rows[level]});
    p.args.dlogits[level] = {gradient.mutable_data<T>(), c.rows[level]};
    p.args.accumulate[level] = fill.accumulate();
  }
  return p;
}

RCNN_OP_CASES(sigmoid_cross_entropy, sigmoid_cross_entropy_cases, sigmoid_cross_entropy_bench_cases,
              prepare_sigmoid_cross_entropy<T>)
RCNN_OP_CASES(sigmoid_cross_entropy_backward, sigmoid_cross_entropy_cases, sigmoid_cross_entropy_bench_cases,
              prepare_sigmoid_cross_entropy_backward<T>)

}  // namespace rcnn::kernels
