#pragma once

#include "layers/module.h"

namespace rcnn {

/// Batch normalisation of C channels. All four tensors are (C), of the type of the layer's input.
struct BatchNorm {
  Var weight, bias;
  Tensor running_mean, running_var;
  float eps = 1e-5f;
  float momentum = 0.1f;  // the weight of the newest batch in the running statistics

  void visit(ParamVisitor& visitor) {
    visitor.parameter("weight", weight);
    visitor.parameter("bias", bias);
    visitor.buffer("running_mean", running_mean);
    visitor.buffer("running_var", running_var);
  }
};

/// weight (x - mean) / sqrt(variance + eps) + bias + residual, then a ReLU if `relu`, for x and residual
/// (..., C). `residual` may be undefined and must not share x's memory. Mean and variance are those of the
/// batch, and the running statistics are moved towards them, so this is for training only: throws Error
/// when ctx.training is off. Saves x, weight, mean, inverse deviation and (with relu) y for backward. See
/// kernels/norm/batch_norm.h.
Var batch_norm(Context& ctx, const Var& x, BatchNorm& parameters, const Var& residual = {},
               bool relu = false);

/// Batch normalisation by the running statistics, for evaluation and for frozen layers, as the epilogue of
/// a convolution: weight (x - running_mean) / sqrt(running_var + eps) + bias = scale x + shift. Both are
/// (C), and constants to autograd.
struct FoldedBatchNorm {
  Tensor scale, shift;
};
FoldedBatchNorm fold_batch_norm(Context& ctx, const BatchNorm& parameters);
/// The same, written into existing tensors.
void fold_batch_norm(Context& ctx, const BatchNorm& parameters, const FoldedBatchNorm& folded);

}  // namespace rcnn
