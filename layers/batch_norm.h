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
/// `residual` may be undefined. With ctx.training, mean and variance are the batch's and the running
/// statistics are updated; x, mean, inverse deviation and (with relu) y are saved. Otherwise they are the
/// running statistics; x is saved only where weight or bias want a gradient. `residual` must not share x's
/// memory. See kernels/norm/batch_norm.h and kernels/norm/scale_shift.h.
Var batch_norm(Context& ctx, const Var& x, BatchNorm& parameters, const Var& residual = {},
               bool relu = false);

/// The running statistics as a scale and a shift a channel, each (C), for the epilogue of a convolution:
/// batch_norm(x) = scale x + shift. Constants to autograd.
struct FoldedBatchNorm {
  Tensor scale, shift, inverse_deviation;
};
FoldedBatchNorm fold_batch_norm(Context& ctx, const BatchNorm& parameters);
/// The same into tensors that are there already.
void fold_batch_norm(Context& ctx, const BatchNorm& parameters, const FoldedBatchNorm& folded);

}  // namespace rcnn
