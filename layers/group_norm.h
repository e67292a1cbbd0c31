#pragma once

#include "layers/module.h"

namespace rcnn {

/// Group normalisation of C channels in `groups` groups; weight and bias are (C).
struct GroupNorm {
  Var weight, bias;
  int64_t groups = 32;  // divides C
  float eps = 1e-5f;

  void visit(ParamVisitor& visitor) {
    visitor.parameter("weight", weight);
    visitor.parameter("bias", bias);
  }
};

/// relu?(weight (x - mean) / sqrt(variance + eps) + bias + residual) for x and residual (N, ..., C), where
/// mean and variance are those of the value's image and group and `residual` may be undefined. Saves x, mean,
/// inverse deviation and (with relu) y. `residual` must not share x's memory. See kernels/norm/group_norm.h.
Var group_norm(Context& ctx, const Var& x, const GroupNorm& parameters, const Var& residual = {},
               bool relu = false);

}  // namespace rcnn
