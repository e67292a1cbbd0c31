#pragma once

#include "layers/init.h"
#include "layers/module.h"

namespace rcnn {

/// x (M, K), w (N, K), bias (N) or undefined -> relu(x w^T + bias), (M, N). The ReLU is optional. Saves for
/// backward what the gradients need: x, w and, with ReLU, y. `packed` as for ConvEpilogue.
Var linear(Context& ctx, const Var& x, const Var& w, const Var& bias, bool relu = false, bool packed = false);

/// A fully connected layer and its parameters.
struct Linear {
  Var weight, bias;
  Shape pooled;         // (PH, PW, C) if the inputs are a flattened map: see ParamVisitor::parameter
  bool packed = false;  // see ConvEpilogue

  /// PyTorch's default initial values: weight and bias are uniform between -1 / sqrt(K) and 1 / sqrt(K).
  static Linear make(Init& init, int64_t inputs, int64_t outputs);
  Var operator()(Context& ctx, const Var& x, bool relu = false) const {
    return linear(ctx, x, weight, bias, relu, packed);
  }
  void visit(ParamVisitor& visitor) {
    visitor.parameter("weight", weight, pooled);
    visitor.parameter("bias", bias);
  }
};

}  // namespace rcnn
