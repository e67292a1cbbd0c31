#include "models/blocks.h"

#include "core/config.h"

namespace rcnn {

Norm parse_norm(std::string_view name) {
  check_choice("norm", name, "batch|frozen|folded");
  return name == "frozen" ? Norm::frozen : name == "folded" ? Norm::folded : Norm::batch;
}

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

ConvNorm ConvNorm::make(Init& init, Norm norm, int64_t inputs, int64_t outputs, int64_t size,
                        int64_t stride) {
  ConvNorm block;
  block.conv = make_conv(init, inputs, outputs, size, stride);
  if (norm == Norm::folded) {
    block.conv.bias = init.constant({outputs}, 0);
    return block;
  }
  block.norm = make_batch_norm(init, outputs);
  if (norm == Norm::frozen) {
    block.norm->weight = block.norm->weight.detach();
    block.norm->bias = block.norm->bias.detach();
  }
  return block;
}

Var ConvNorm::operator()(Context& ctx, const Var& x, bool relu, const Var& residual) {
  if (!norm)
    return conv2d(ctx, x, conv.weight, conv.options,
                  {.scale = {}, .bias = conv.bias, .residual = residual, .relu = relu});
  if (ctx.training && norm->weight.requires_grad())
    return batch_norm(ctx, conv(ctx, x), *norm, residual, relu);
  const FoldedBatchNorm& fold = folded(ctx);
  return conv2d(ctx, x, conv.weight, conv.options,
                {.scale = fold.scale, .bias = Var(fold.shift), .residual = residual, .relu = relu});
}

const FoldedBatchNorm& ConvNorm::folded(Context& ctx) {
  // Folding again for every image would also make oneDNN pack the weights again.
  const auto identity = [](const Tensor& t) { return std::pair(t.storage().id, t.version()); };
  const std::array now{identity(norm->weight.value()), identity(norm->bias.value()),
                       identity(norm->running_mean), identity(norm->running_var)};
  if (!folded_.scale.defined() || folded_.scale.device() != ctx.device) {
    folded_ = fold_batch_norm(ctx, *norm);
  } else if (now != folded_from_) {
    fold_batch_norm(ctx, *norm, folded_);  // into the same tensors: a recorded step goes on reading them
  }
  folded_from_ = now;
  return folded_;
}

void ConvNorm::visit(ParamVisitor& visitor, std::string_view conv_name, std::string_view norm_name) {
  visitor.child(conv_name, conv);
  if (norm) visitor.child(norm_name, *norm);
}

BasicBlock BasicBlock::make(Init& init, Norm norm, int64_t inputs, int64_t outputs, int64_t stride) {
  BasicBlock block{ConvNorm::make(init, norm, inputs, outputs, 3, stride),
                   ConvNorm::make(init, norm, outputs, outputs, 3),
                   {}};
  if (stride != 1 || inputs != outputs)
    block.shortcut = ConvNorm::make(init, norm, inputs, outputs, 1, stride);
  return block;
}

Var BasicBlock::operator()(Context& ctx, const Var& x) {
  const Var inner = first(ctx, x, true);
  const Var residual = shortcut ? (*shortcut)(ctx, x, false) : x;
  return second(ctx, inner, true, residual);
}

void BasicBlock::visit(ParamVisitor& visitor) {
  first.visit(visitor, "conv1", "bn1");
  second.visit(visitor, "conv2", "bn2");
  if (shortcut) shortcut->visit(visitor, "downsample.0", "downsample.1");
}

}  // namespace rcnn
