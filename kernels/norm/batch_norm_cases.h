#pragma once

#include "kernels/cases.h"
#include "kernels/norm/batch_norm.h"

namespace rcnn::kernels {

struct BatchNormCase {
  int64_t rows, c;
  bool residual = false, relu = false;
  float offset = 0;  // added to x, to check that a large mean causes no cancellation
};

inline std::vector<BatchNormCase> batch_norm_cases() {
  return {
      {7, 3},
      {129, 16, false, true},
      {61, 5, true, true},
      {211, 131, true, false},        // more channels than lanes in a wide row
      {101, 132, true, true},         // the same with vectors of 4
      {997, 20, true, true},          // threads that do not fill a block
      {9001, 4, true, true},          // several chunks, the last one shorter
      {5003, 8, false, false, 1000},  // several chunks with a large mean
      {997, 1, false, true},          // one channel
      {1, 6, true, true},             // one row: variance 0
      {0, 4, true, true},             // no rows
  };
}

/// nano-fpn's stem and levels at 4 x 240 x 320, and C2 and C5 of a ResNet-50 at 800 x 1344.
inline std::vector<BatchNormCase> batch_norm_bench_cases() {
  return {{4 * 120 * 160, 16, false, true},
          {4 * 60 * 80, 32, true, true},
          {4 * 15 * 20, 128, true, true},
          {200 * 336, 256, true, true},
          {25 * 42, 2048, true, true}};
}

/// A batch that is normalised together with others.
struct SyncBatchNormCase {
  int64_t rows, c, batches;
  bool residual = false, relu = false;
};

inline std::vector<SyncBatchNormCase> sync_batch_norm_cases() {
  return {
      {7, 3, 2},
      {129, 16, 3, false, true},
      {211, 131, 4, true, false},  // more channels than lanes in a wide row
      {997, 20, 7, true, true},    // some of the others have no rows
      {9001, 4, 2, true, true},    // several chunks
      {997, 1, 5, false, true},    // one channel
      {1, 6, 3, true, true},       // one row
      {0, 4, 2, true, true},       // no rows, but others have some
      {61, 5, 1, true, true},      // alone
  };
}

/// Those of batch_norm_bench_cases, as one of four batches of a step.
inline std::vector<SyncBatchNormCase> sync_batch_norm_bench_cases() {
  std::vector<SyncBatchNormCase> cases;
  for (const BatchNormCase& c : batch_norm_bench_cases())
    cases.push_back({c.rows, c.c, 4, c.residual, c.relu});
  return cases;
}

RCNN_CASE_FIELDS(BatchNormCase, rows, c, residual, relu, offset)
RCNN_CASE_FIELDS(SyncBatchNormCase, rows, c, batches, residual, relu)

template <class T>
BatchNormCase case_of(const BatchNormArgs<T>& a, ArgumentReader&) {
  return {a.rows, a.c, a.residual != nullptr, a.relu};
}
template <class T>
BatchNormCase case_of(const BatchNormBackwardArgs<T>& a, ArgumentReader&) {
  return {a.rows, a.c, a.dresidual != nullptr, a.relu};
}
template <class T>
BatchNormCase case_of(const BatchNormMomentsArgs<T>& a, ArgumentReader&) {
  return {a.rows, a.c};
}
template <class T>
SyncBatchNormCase case_of(const SyncBatchNormArgs<T>& a, ArgumentReader&) {
  return {a.rows, a.c, a.batches, a.residual != nullptr, a.relu};
}
template <class T>
BatchNormCase case_of(const BatchNormGradientSumsArgs<T>& a, ArgumentReader&) {
  return {a.rows, a.c, a.dresidual != nullptr, a.relu};
}
template <class T>
SyncBatchNormCase case_of(const SyncBatchNormBackwardArgs<T>& a, ArgumentReader&) {
  return {a.rows, a.c, a.batches, false, a.relu};
}
template <class T>
BatchNormCase case_of(const FoldBatchNormArgs<T>& a, ArgumentReader&) {
  return {1, a.c};
}

/// The input x of a case, the same in float and in double.
template <class T>
const T* batch_norm_input(const BatchNormCase& c, Filler& fill, std::vector<Tensor>& keep) {
  const Tensor x = fill.numbers<T>(keep, {c.rows, c.c});
  for (T& value : x.mutable_values<T>()) value = static_cast<T>(static_cast<float>(value) + c.offset);
  return x.data<T>();
}

/// What the arguments of batch norm hold besides x, alone and together with other batches.
template <class T, class Case, class Args>
void fill_batch_norm(const Case& c, Filler& fill, Prepared<Args>& p) {
  const Shape shape{c.rows, c.c};
  p.args.rows = c.rows;
  p.args.c = c.c;
  p.args.weight = fill.numbers<T>(p.inputs, {c.c}).template data<T>();
  p.args.bias = fill.numbers<T>(p.inputs, {c.c}).template data<T>();
  if (c.residual) p.args.residual = fill.numbers<T>(p.inputs, shape).template data<T>();
  p.args.relu = c.relu;
  p.args.eps = static_cast<T>(1e-5f);
  p.args.momentum = static_cast<T>(0.1f);
  p.args.running_mean = fill.numbers<T>(p.outputs, {c.c}).template mutable_data<T>();
  p.args.running_var = fill.uniform<T>(p.outputs, {c.c}, 0.5f, 2).template mutable_data<T>();
  p.args.mean = fill.poisoned<T>(p.outputs, {c.c}).template mutable_data<T>();
  p.args.inverse_deviation = fill.poisoned<T>(p.outputs, {c.c}).template mutable_data<T>();
  p.args.y = fill.poisoned<T>(p.outputs, shape).template mutable_data<T>();
}

template <class T>
Prepared<BatchNormArgs<T>> prepare_batch_norm(const BatchNormCase& c, Filler fill) {
  Prepared<BatchNormArgs<T>> p;
  p.args.x = batch_norm_input<T>(c, fill, p.inputs);
  fill_batch_norm<T>(c, fill, p);
  p.compare_relative(c.offset == 0 ? 2e-6 : 5e-5);  // the mean itself is rounded to a float
  return p;
}

template <class T>
Prepared<BatchNormMomentsArgs<T>> prepare_batch_norm_moments(const BatchNormCase& c, Filler fill) {
  Prepared<BatchNormMomentsArgs<T>> p;
  p.args.rows = c.rows;
  p.args.c = c.c;
  p.args.x = batch_norm_input<T>(c, fill, p.inputs);
  p.args.moments = fill.result<double>(p, {batch_norm_row(c.c)});
  p.compare_relative(2e-6);
  return p;
}

/// The table of what all batches know: positive numbers, and counts of rows, of which every third is 0.
inline const double* batch_norm_table(const SyncBatchNormCase& c, Filler& fill, std::vector<Tensor>& keep) {
  const int64_t row = batch_norm_row(c.c);
  const Tensor table = fill.uniform<double>(keep, {c.batches, row}, 0.5f, 2);
  for (int64_t i = 0; i < c.batches; ++i) {
    double* values = table.mutable_data<double>() + i * row;
    values[row - 1] = static_cast<double>(i % 3 == 2 ? 0 : 10 + 7 * i);
    if (i % 3 == 2) std::fill(values, values + row, 0.0);
  }
  return table.data<double>();
}

template <class T>
Prepared<SyncBatchNormArgs<T>> prepare_sync_batch_norm(const SyncBatchNormCase& c, Filler fill) {
  Prepared<SyncBatchNormArgs<T>> p;
  p.args.x = fill.input<T>(p, {c.rows, c.c});
  p.args.batches = c.batches;
  p.args.moments = batch_norm_table(c, fill, p.inputs);
  fill_batch_norm<T>(c, fill, p);
  p.compare_relative(2e-6);
  return p;
}

/// What the arguments of its gradient read and write, except dresidual.
template <class T, class Case, class Args>
void fill_batch_norm_backward(const Case& c, Filler& fill, Prepared<Args>& p) {
  const Shape shape{c.rows, c.c};
  p.args.rows = c.rows;
  p.args.c = c.c;
  p.args.x = fill.numbers<T>(p.inputs, shape).template data<T>();
  p.args.weight = fill.numbers<T>(p.inputs, {c.c}).template data<T>();
  p.args.mean = fill.numbers<T>(p.inputs, {c.c}).template data<T>();
  p.args.inverse_deviation = fill.uniform<T>(p.inputs, {c.c}, 0.5f, 2).template data<T>();
  if (c.relu) p.args.y = fill.uniform<T>(p.inputs, shape, -1, 1).template data<T>();
  p.args.dy = fill.numbers<T>(p.inputs, shape).template data<T>();
  p.args.relu = c.relu;
  p.args.dx = fill.output<T>(p.outputs, shape).template mutable_data<T>();
  p.args.dweight = fill.output<T>(p.outputs, {c.c}).template mutable_data<T>();
  p.args.dbias = fill.output<T>(p.outputs, {c.c}).template mutable_data<T>();
  p.args.accumulate = p.args.accumulate_weight = p.args.accumulate_bias = p.args.accumulate_residual =
      fill.accumulate();
  p.compare_relative(2e-6);
}

template <class T>
Prepared<BatchNormBackwardArgs<T>> prepare_batch_norm_backward(const BatchNormCase& c, Filler fill) {
  Prepared<BatchNormBackwardArgs<T>> p;
  fill_batch_norm_backward<T>(c, fill, p);
  if (c.residual) p.args.dresidual = fill.gradient<T>(p, {c.rows, c.c});
  return p;
}

template <class T>
Prepared<SyncBatchNormBackwardArgs<T>> prepare_sync_batch_norm_backward(const SyncBatchNormCase& c,
                                                                        Filler fill) {
  Prepared<SyncBatchNormBackwardArgs<T>> p;
  fill_batch_norm_backward<T>(c, fill, p);
  p.args.batches = c.batches;
  p.args.own = c.batches / 2;
  p.args.sums = batch_norm_table(c, fill, p.inputs);
  return p;
}

template <class T>
Prepared<BatchNormGradientSumsArgs<T>> prepare_batch_norm_gradient_sums(const BatchNormCase& c, Filler fill) {
  Prepared<BatchNormGradientSumsArgs<T>> p;
  const Shape shape{c.rows, c.c};
  p.args.rows = c.rows;
  p.args.c = c.c;
  p.args.x = fill.input<T>(p, shape);
  p.args.mean = fill.input<T>(p, {c.c});
  if (c.relu) p.args.y = fill.uniform<T>(p.inputs, shape, -1, 1).template data<T>();
  p.args.dy = fill.input<T>(p, shape);
  p.args.relu = c.relu;
  if (c.residual) p.args.dresidual = fill.gradient<T>(p, shape);
  p.args.accumulate_residual = fill.accumulate();
  p.args.sums = fill.result<double>(p, {batch_norm_row(c.c)});
  p.compare_relative(2e-6);
  return p;
}

template <class T>
Prepared<FoldBatchNormArgs<T>> prepare_fold_batch_norm(const BatchNormCase& c, Filler fill) {
  Prepared<FoldBatchNormArgs<T>> p;
  p.args.c = c.c;
  p.args.weight = fill.numbers<T>(p.inputs, {c.c}).template data<T>();
  p.args.bias = fill.numbers<T>(p.inputs, {c.c}).template data<T>();
  p.args.running_mean = fill.numbers<T>(p.inputs, {c.c}).template data<T>();
  p.args.running_var = fill.uniform<T>(p.inputs, {c.c}, 0.5f, 2).template data<T>();
  p.args.eps = static_cast<T>(1e-5f);
  p.args.scale = fill.poisoned<T>(p.outputs, {c.c}).template mutable_data<T>();
  p.args.shift = fill.poisoned<T>(p.outputs, {c.c}).template mutable_data<T>();
  p.match = Match::relative;
  p.tolerance = 1e-6;
  return p;
}

RCNN_OP_CASES(batch_norm, batch_norm_cases, batch_norm_bench_cases, prepare_batch_norm<T>)
RCNN_OP_CASES(batch_norm_backward, batch_norm_cases, batch_norm_bench_cases, prepare_batch_norm_backward<T>)
RCNN_OP_CASES(batch_norm_moments, batch_norm_cases, batch_norm_bench_cases, prepare_batch_norm_moments<T>)
RCNN_OP_CASES(sync_batch_norm, sync_batch_norm_cases, sync_batch_norm_bench_cases, prepare_sync_batch_norm<T>)
RCNN_OP_CASES(batch_norm_gradient_sums, batch_norm_cases, batch_norm_bench_cases,
              prepare_batch_norm_gradient_sums<T>)
RCNN_OP_CASES(sync_batch_norm_backward, sync_batch_norm_cases, sync_batch_norm_bench_cases,
              prepare_sync_batch_norm_backward<T>)
RCNN_OP_CASES(fold_batch_norm, batch_norm_cases, batch_norm_bench_cases, prepare_fold_batch_norm<T>)

}  // namespace rcnn::kernels
