#pragma once

#include "kernels/cases.h"
#include "kernels/norm/group_norm.h"

namespace rcnn::kernels {

struct GroupNormCase {
  int64_t n, rows, c, groups;
  bool residual = false, relu = false;
};

inline std::vector<GroupNormCase> group_norm_cases() {
  return {
      {2, 35, 6, 3},
      {3, 17, 5, 1, false, true},      // one group: layer norm
      {2, 29, 4, 4, true, true},       // one group per channel: instance norm
      {2, 67, 12, 2, true, true},      // groups that end inside a vector of 4 channels
      {1, 211, 132, 33, true, false},  // more channels than lanes in a wide row
      {2, 4099, 8, 4, true, true},     // several chunks per image
      {5, 1, 8, 2, false, true},       // one row per image
      {2, 0, 4, 2, true, true},        // no rows
      {0, 3, 4, 2, true, true},        // no images
  };
}

/// C2 of nano-fpn at 4 x 240 x 320 and of a ResNet-50 FPN at 800 x 1344, and 512 RoIs in a head.
inline std::vector<GroupNormCase> group_norm_bench_cases() {
  return {
      {4, 60 * 80, 32, 8, true, true}, {1, 200 * 336, 256, 32, true, true}, {512, 49, 256, 32, false, true}};
}

RCNN_CASE_FIELDS(GroupNormCase, n, rows, c, groups, residual, relu)

template <class T>
GroupNormCase case_of(const GroupNormArgs<T>& a, ArgumentReader&) {
  return {a.n, a.rows, a.c, a.groups, a.residual != nullptr, a.relu};
}
template <class T>
GroupNormCase case_of(const GroupNormBackwardArgs<T>& a, ArgumentReader&) {
  return {a.n, a.rows, a.c, a.groups, a.dresidual != nullptr, a.relu};
}

template <class T>
Prepared<GroupNormArgs<T>> prepare_group_norm(const GroupNormCase& c, Filler fill) {
  Prepared<GroupNormArgs<T>> p;
  const Shape shape{c.n, c.rows, c.c};
  p.args.n = c.n;
  p.args.rows = c.rows;
  p.args.c = c.c;
  p.args.groups = c.groups;
  p.args.x = fill.numbers<T>(p.inputs, shape).template data<T>();
  p.args.weight = fill.numbers<T>(p.inputs, {c.c}).template data<T>();
  p.args.bias = fill.numbers<T>(p.inputs, {c.c}).template data<T>();
  if (c.residual) p.args.residual = fill.numbers<T>(p.inputs, shape).template data<T>();
  p.args.relu = c.relu;
  p.args.eps = static_cast<T>(1e-5f);
  p.args.mean = fill.poisoned<T>(p.outputs, {c.n, c.groups}).template mutable_data<T>();
  p.args.inverse_deviation = fill.poisoned<T>(p.outputs, {c.n, c.groups}).template mutable_data<T>();
  p.args.y = fill.poisoned<T>(p.outputs, shape).template mutable_data<T>();
  p.match = Match::relative;
  p.tolerance = 2e-6;
  return p;
}

template <class T>
Prepared<GroupNormBackwardArgs<T>> prepare_group_norm_backward(const GroupNormCase& c, Filler fill) {
  Prepared<GroupNormBackwardArgs<T>> p;
  const Shape shape{c.n, c.rows, c.c};
  p.args.n = c.n;
  p.args.rows = c.rows;
  p.args.c = c.c;
  p.args.groups = c.groups;
  p.args.x = fill.numbers<T>(p.inputs, shape).template data<T>();
  p.args.weight = fill.numbers<T>(p.inputs, {c.c}).template data<T>();
  p.args.mean = fill.numbers<T>(p.inputs, {c.n, c.groups}).template data<T>();
  p.args.inverse_deviation = fill.uniform<T>(p.inputs, {c.n, c.groups}, 0.5f, 2).template data<T>();
  if (c.relu) p.args.y = fill.uniform<T>(p.inputs, shape, -1, 1).template data<T>();
  p.args.dy = fill.numbers<T>(p.inputs, shape).template data<T>();
  p.args.relu = c.relu;
  p.args.dx = fill.output<T>(p.outputs, shape).template mutable_data<T>();
  p.args.dweight = fill.output<T>(p.outputs, {c.c}).template mutable_data<T>();
  p.args.dbias = fill.output<T>(p.outputs, {c.c}).template mutable_data<T>();
  if (c.residual) p.args.dresidual = fill.output<T>(p.outputs, shape).template mutable_data<T>();
  p.args.accumulate = p.args.accumulate_weight = p.args.accumulate_bias = p.args.accumulate_residual =
      fill.accumulate();
  p.match = Match::relative;
  p.tolerance = 2e-6;
  return p;
}

RCNN_OP_CASES(group_norm, group_norm_cases, group_norm_bench_cases, prepare_group_norm<T>)
RCNN_OP_CASES(group_norm_backward, group_norm_cases, group_norm_bench_cases, prepare_group_norm_backward<T>)

}  // namespace rcnn::kernels
