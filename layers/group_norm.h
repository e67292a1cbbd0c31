#pragma once

#include "layers/module.h"

namespace rcnn {

/// Group normalisation of C channels in `groups` groups. Weight and bias are (C).
struct GroupNorm {
  Var weight, bias;
  int64_t groups = 32;  // divides C
  float eps = 1e-5f;

  void visit(ParamVisitor& visitor) {
    visitor.parameter("weight", weight);
    visitor.parameter("bias", bias);
  }
};

/// weight (x - mean) / sqrt(variance + eps) + bias + residual, then a ReLU if `relu`, for x and residual
/// (N, ..., C). Mean and variance are those of one group of channels of one image. `residual` may be
/// undefined and must not share x's memory. Saves x, weight, mean, inverse deviation and (with relu) y for
/// backward. See kernels/norm/group_norm.h.
Var group_norm(Context& ctx, const Var& x, const GroupNorm& parameters, const Var& residual = {},
               bool relu = false);

}  // namespace rcnn
