#pragma once

#include "kernels/cases.h"
#include "kernels/elementwise/sum.h"

namespace rcnn::kernels {

struct WeightedSumCase {
  std::vector<double> weights;
  int unneeded = 1;  // the term whose gradient is not needed; -1: none
};

inline std::vector<WeightedSumCase> weighted_sum_cases() {
  return {{{1}}, {{1, 2, 0.5, -1}}, {std::vector<double>(kMaxTerms, 0.25)}};
}

/// The four terms of Faster R-CNN's loss.
inline std::vector<WeightedSumCase> weighted_sum_bench_cases() { return {{{1, 1, 1, 1}}}; }

RCNN_CASE_FIELDS(WeightedSumCase, weights, unneeded)

template <class T>
WeightedSumCase case_of(const WeightedSumArgs<T>& a, ArgumentReader&) {
  return {{a.weights, a.weights + a.terms}, -1};
}
template <class T>
WeightedSumCase case_of(const WeightedSumBackwardArgs<T>& a, ArgumentReader&) {
  return {{a.weights, a.weights + a.terms}, first_null(a.dvalues, a.terms)};
}

template <class T>
Prepared<WeightedSumArgs<T>> prepare_weighted_sum(const WeightedSumCase& c, Filler fill) {
  Prepared<WeightedSumArgs<T>> p;
  p.args.terms = static_cast<int>(c.weights.size());
  for (size_t i = 0; i < c.weights.size(); ++i) {
    p.args.values[i] = fill.numbers<T>(p.inputs, {}).template data<T>();
    p.args.weights[i] = c.weights[i];
  }
  p.args.y = fill.poisoned<T>(p.outputs, {}).template mutable_data<T>();
  p.match = Match::relative;
  p.tolerance = 1e-6;
  return p;
}

template <class T>
Prepared<WeightedSumBackwardArgs<T>> prepare_weighted_sum_backward(const WeightedSumCase& c, Filler fill) {
  Prepared<WeightedSumBackwardArgs<T>> p;
  p.args.terms = static_cast<int>(c.weights.size());
  p.args.dy = fill.numbers<T>(p.inputs, {}).template data<T>();
  for (size_t i = 0; i < c.weights.size(); ++i) {
    p.args.weights[i] = c.weights[i];
    p.args.accumulate[i] = fill.accumulate();
    if (static_cast<int>(i) != c.unneeded)
      p.args.dvalues[i] = fill.output<T>(p.outputs, {}).template mutable_data<T>();
  }
  p.match = Match::relative;
  p.tolerance = 1e-6;
  return p;
}

RCNN_OP_CASES(weighted_sum, weighted_sum_cases, weighted_sum_bench_cases, prepare_weighted_sum<T>)
RCNN_OP_CASES(weighted_sum_backward, weighted_sum_cases, weighted_sum_bench_cases,
              prepare_weighted_sum_backward<T>)

}  // namespace rcnn::kernels
