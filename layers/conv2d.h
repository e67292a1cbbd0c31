#pragma once

#include "layers/init.h"
#include "layers/module.h"

namespace rcnn {

struct ConvOptions {
  int64_t stride = 1, pad = 0, dilation = 1;
};

/// What is applied to the result of a convolution: y = relu(scale * conv + bias + residual). Undefined
/// members are left out, and so is the ReLU if `relu` is false.
struct ConvEpilogue {
  Tensor scale;  // (K), a constant
  Var bias;      // (K)
  Var residual;  // (N, OH, OW, K)
  bool relu = false;
  /// Whether a convolution or a linear layer reads the result: then it is left in the form that tensor cores
  /// read as well. It makes no other difference.
  bool packed = false;
};

/// x (N, H, W, C), w (K, R, S, C) -> (N, OH, OW, K). Saves for backward what the gradients need: x, w, the
/// scale and, with ReLU, y. Where no gradient is needed and the caller has handed over the only reference to
/// the residual, the result takes its memory: nothing is allocated, and oneDNN has faster kernels for such a
/// sum. See kernels/gemm/conv2d.h.
Var conv2d(Context& ctx, const Var& x, const Var& w, const ConvOptions& options, ConvEpilogue epilogue = {});

/// A convolution and its parameters; `bias` may be undefined.
struct Conv2d {
  Var weight, bias;
  ConvOptions options;
  bool packed = false;  // see ConvEpilogue

  Var operator()(Context& ctx, const Var& x, bool relu = false) const {
    return conv2d(ctx, x, weight, options,
                  {.scale = {}, .bias = bias, .residual = {}, .relu = relu, .packed = packed});
  }
  void visit(ParamVisitor& visitor) {
    visitor.parameter("weight", weight);
    if (bias.defined()) visitor.parameter("bias", bias);
  }
};

}  // namespace rcnn
