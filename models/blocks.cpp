#include "models/blocks.h"

namespace rcnn {

Conv2d make_conv(Init& init, int64_t inputs, int64_t outputs, int64_t size, int64_t stride) {
  return {init.kaiming_normal({outputs, size, size, inputs}), {}, {.stride = stride, .pad = (size - 1) / 2}};
}

BatchNorm make_batch_norm(Init& init, int64_t channels) {
  BatchNorm norm;
  norm.weight = init.constant({channels}, 1);
  norm.bias = init.constant({channels}, 0);
  norm.running_mean = Tensor::zeros({channels}, init.dtype());
  norm.running_var = Tensor::zeros({channels}, init.dtype());
  norm.running_var.fill(1);
  return norm;
}

ConvNorm ConvNorm::make(Init& init, int64_t inputs, int64_t outputs, int64_t size, int64_t stride) {
  ConvNorm block;
  block.conv = make_conv(init, inputs, outputs, size, stride);
  block.norm = make_batch_norm(init, outputs);
  return block;
}

Var ConvNorm::operator()(Context& ctx, const Var& x, bool relu, const Var& residual) {
  if (ctx.training) return batch_norm(ctx, conv(ctx, x), norm, residual, relu);
  const FoldedBatchNorm& fold = folded(ctx);
  return conv2d(ctx, x, conv.weight, conv.options,
                {.scale = fold.scale, .bias = Var(fold.shift), .residual = residual, .relu = relu});
}

const FoldedBatchNorm& ConvNorm::folded(Context& ctx) {
  // Folding again for every image would also make oneDNN pack the weights again.
  const auto identity = [](const Tensor& t) { return std::pair(t.storage().id, t.version()); };
  const std::array now{identity(norm.weight.value()), identity(norm.bias.value()),
                       identity(norm.running_mean), identity(norm.running_var)};
  if (!folded_.scale.defined() || now != folded_from_) {
    folded_ = fold_batch_norm(ctx, norm);
    folded_from_ = now;
  }
  return folded_;
}

BasicBlock BasicBlock::make(Init& init, int64_t inputs, int64_t outputs, int64_t stride) {
  BasicBlock block{
      ConvNorm::make(init, inputs, outputs, 3, stride), ConvNorm::make(init, outputs, outputs, 3), {}};
  if (stride != 1 || inputs != outputs) block.shortcut = ConvNorm::make(init, inputs, outputs, 1, stride);
  return block;
}

Var BasicBlock::operator()(Context& ctx, const Var& x) {
  const Var inner = first(ctx, x, true);
  const Var residual = shortcut ? (*shortcut)(ctx, x, false) : x;
  return second(ctx, inner, true, residual);
}

void BasicBlock::visit(ParamVisitor& visitor) {
  visitor.child("conv1", first.conv);
  visitor.child("bn1", first.norm);
  visitor.child("conv2", second.conv);
  visitor.child("bn2", second.norm);
  if (!shortcut) return;
  visitor.child("downsample.0", shortcut->conv);
  visitor.child("downsample.1", shortcut->norm);
}

}  // namespace rcnn
