#pragma once

#include "kernels/cases.h"
#include "kernels/loss/smooth_l1.h"

namespace rcnn::kernels {

struct SmoothL1Case {
  int64_t n;
  std::vector<int64_t> rows;  // of each level
  int64_t columns;
  float beta;
  int sampled;          // expected number of labels >= 0 per thousand
  int64_t classes = 0;  // number of classes of the labels, if greater than `columns`
  int unneeded = 1;     // the level whose gradient is not needed; -1: none
};

inline std::vector<SmoothL1Case> smooth_l1_cases() {
  return {
      {2, {13, 7, 5}, 1, 1.0f / 9, 600},
      {1, {67}, 5, 1, 800},                // one column per class
      {3, {4, 0, 1, 9, 2, 3}, 1, 0, 700},  // six levels, one empty, plain L1
      {2, {3001, 1409, 1}, 1, 0.5f, 40},   // several chunks
      {2, {5, 3}, 2, 1, 0},                // every label ignored
      {0, {5, 3}, 1, 1, 500},
      {2, {0}, 3, 1, 500},      // no labels
      {2, {41}, 1, 1, 800, 7},  // one column for all classes
  };
}

/// The region proposal networks of nano-fpn at 4 x 240 x 320 and of R50-FPN at 2 x 800 x 1344, and the RoI
/// head of the latter.
inline std::vector<SmoothL1Case> smooth_l1_bench_cases() {
  return {{4, {60 * 80 * 6, 30 * 40 * 6, 15 * 20 * 6}, 1, 1.0f / 9, 7},
          {2, {200 * 336 * 3, 100 * 168 * 3, 50 * 84 * 3, 25 * 42 * 3, 13 * 21 * 3}, 1, 1.0f / 9, 1},
          {2, {512}, 91, 1.0f / 9, 1000}};
}

RCNN_CASE_FIELDS(SmoothL1Case, n, rows, columns, beta, sampled, classes, unneeded)

/// The case of a loss, whose rows count if their label is above 0. In the prepared case half of the sampled
/// labels are above 0 if there is one column, and nearly all if there is one per class.
template <class Args>
SmoothL1Case smooth_l1_case(const Args& a, ArgumentReader& reader, int unneeded) {
  int64_t positive = 0;
  const std::span<const int32_t> labels = reader.read(a.labels, a.n * total_rows(a.prediction, a.levels));
  for (const int32_t label : labels) positive += label > 0;
  const int64_t share = 1000 * positive * (a.columns == 1 ? 2 : 1) / std::max<int64_t>(1, std::ssize(labels));
  return {a.n,     rows_of_levels(a.prediction, a.levels),           a.columns,
          a.beta,  static_cast<int>(std::min<int64_t>(share, 1000)), 0,
          unneeded};
}
template <class T>
SmoothL1Case case_of(const SmoothL1Args<T>& a, ArgumentReader& reader) {
  return smooth_l1_case(a, reader, -1);
}
template <class T>
SmoothL1Case case_of(const SmoothL1BackwardArgs<T>& a, ArgumentReader& reader) {
  return smooth_l1_case(a, reader, first_null(a.dprediction, a.levels));
}

/// Sets args.n, levels, columns, beta, labels, targets and prediction. Targets and predictions that the loss
/// ignores are NaN.
template <class T, class Args>
void prepare_levels(const SmoothL1Case& c, Filler& fill, Prepared<Args>& p) {
  int64_t total = 0;
  for (const int64_t rows : c.rows) total += rows;
  const Tensor labels = fill.integers(p.inputs, {c.n, total}, 0, 999);
  const int32_t classes = static_cast<int32_t>(std::max<int64_t>({2, c.columns, c.classes}));
  for (int32_t& label : labels.mutable_values<int32_t>()) label = label < c.sampled ? label % classes : -1;
  const Tensor targets = fill.numbers<float>(p.inputs, {c.n, total, 4});
  for (int64_t i = 0; i < targets.numel(); ++i)
    if (labels.data<int32_t>()[i / 4] <= 0)
      targets.mutable_data<float>()[i] = std::numeric_limits<float>::quiet_NaN();
  p.args.n = c.n;
  p.args.levels = static_cast<int>(c.rows.size());
  p.args.columns = c.columns;
  p.args.beta = c.beta;
  p.args.labels = labels.data<int32_t>();
  p.args.targets = targets.data<float>();
  int64_t before = 0;  // rows of the previous levels
  for (size_t level = 0; level < c.rows.size(); ++level) {
    const int64_t rows = c.rows[level];
    const Tensor prediction = fill.numbers<T>(p.inputs, {c.n, rows, c.columns, 4});
    T* values = prediction.mutable_data<T>();
    for (int64_t i = 0; i < prediction.numel(); ++i) {
      const int64_t row = i / 4 / c.columns, column = i / 4 % c.columns;
      const int32_t label = p.args.labels[row / rows * total + before + row % rows];
      if (label <= 0 || column != (c.columns == 1 ? 0 : label))
        values[i] = std::numeric_limits<T>::quiet_NaN();
    }
    p.args.prediction[level] = {values, rows};
    before += rows;
  }
  p.match = Match::relative;
  p.tolerance = 1e-6;
}

template <class T>
Prepared<SmoothL1Args<T>> prepare_smooth_l1(const SmoothL1Case& c, Filler fill) {
  Prepared<SmoothL1Args<T>> p;
  prepare_levels<T>(c, fill, p);
  p.args.loss = fill.poisoned<T>(p.outputs, {}).template mutable_data<T>();
  return p;
}

template <class T>
Prepared<SmoothL1BackwardArgs<T>> prepare_smooth_l1_backward(const SmoothL1Case& c, Filler fill) {
  Prepared<SmoothL1BackwardArgs<T>> p;
  prepare_levels<T>(c, fill, p);
  p.args.dloss = fill.numbers<T>(p.inputs, {}).template data<T>();
  for (size_t level = 0; level < c.rows.size(); ++level) {
    if (static_cast<int>(level) == c.unneeded) continue;
    const Tensor gradient = fill.output<T>(p.outputs, {c.n, c.rows[level], c.columns, 4});
    p.args.dprediction[level] = {gradient.mutable_data<T>(), c.rows[level]};
    p.args.accumulate[level] = fill.accumulate();
  }
  return p;
}

RCNN_OP_CASES(smooth_l1, smooth_l1_cases, smooth_l1_bench_cases, prepare_smooth_l1<T>)
RCNN_OP_CASES(smooth_l1_backward, smooth_l1_cases, smooth_l1_bench_cases, prepare_smooth_l1_backward<T>)

}  // namespace rcnn::kernels
