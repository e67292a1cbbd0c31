#pragma once

#include "layers/module.h"

namespace rcnn {

/// Batch normalisation of C channels. All four tensors are (C), of the type of the layer's input.
struct BatchNorm {
  Var weight, bias;
  Tensor running_mean, running_var;
  float eps = 1e-5f;
  float momentum = 0.1f;  // the newest batch's share in the running statistics

  void visit(ParamVisitor& visitor) {
    visitor.parameter("weight", weight);
    visitor.parameter("bias", bias);
    visitor.buffer("running_mean", running_mean);
    visitor.buffer("running_var", running_var);
  }
};

/// relu?(weight (x - mean) / sqrt(variance + eps) + bias + residual) for x and residual (..., C), where
/// `residual` may be undefined. Mean and variance are those of the batch, and the running statistics move
/// towards them: this is for training alone, and an Error where ctx.training is off. Saves x, mean, inverse
/// deviation and (with relu) y. `residual` must not share x's memory. See kernels/norm/batch_norm.h.
Var batch_norm(Context& ctx, const Var& x, BatchNorm& parameters, const Var& residual = {},
               bool relu = false);

/// Batch normalisation by the running statistics, for evaluation and for frozen layers, as the epilogue of a
/// convolution: weight (x - running_mean) / sqrt(running_var + eps) + bias = scale x + shift, each (C).
/// Constants to autograd.
struct FoldedBatchNorm {
  Tensor scale, shift;
};
FoldedBatchNorm fold_batch_norm(Context& ctx, const BatchNorm& parameters);
/// The same into tensors that are there already.
void fold_batch_norm(Context& ctx, const BatchNorm& parameters, const FoldedBatchNorm& folded);

}  // namespace rcnn
