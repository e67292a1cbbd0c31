#include "models/blocks.h"

#include <numeric>

#include "core/config.h"

namespace rcnn {

Norm norm_of(const ModelConfig& config) {
  check_choice("norm", config.norm, "batch|frozen|folded|group");
  const Norm::Kind kind = config.norm == "frozen"   ? Norm::frozen
                          : config.norm == "folded" ? Norm::folded
                          : config.norm == "group"  ? Norm::group
                                                    : Norm::batch;
  return {kind, config.norm_eps};
}

Conv2d make_conv(Init& init, int64_t inputs, int64_t outputs, int64_t size, int64_t stride,
                 int64_t dilation) {
  return {init.kaiming_normal({outputs, size, size, inputs}),
          {},
          {.stride = stride, .pad = (size - 1) / 2 * dilation, .dilation = dilation}};
}

ConvNorm ConvNorm::make(Init& init, Norm norm, int64_t inputs, int64_t outputs, int64_t size, int64_t stride,
                        int64_t dilation) {
  ConvNorm block;
  block.conv = make_conv(init, inputs, outputs, size, stride, dilation);
  block.conv.packed = true;
  if (norm.kind == Norm::folded) {
    block.conv.bias = init.constant({outputs}, 0);
    return block;
  }
  const Var weight = init.constant({outputs}, 1), bias = init.constant({outputs}, 0);
  if (norm.kind == Norm::group) {
    block.groups = {weight, bias, outputs < 64 ? std::gcd(outputs, 8) : 32, norm.eps};
    return block;
  }
  block.norm.emplace();
  const bool frozen = norm.kind == Norm::frozen;
  block.norm->weight = frozen ? weight.detach() : weight;
  block.norm->bias = frozen ? bias.detach() : bias;
  block.norm->running_mean = Tensor::zeros({outputs}, init.dtype());
  block.norm->running_var = Tensor::zeros({outputs}, init.dtype());
  block.norm->running_var.fill(1);
  block.norm->eps = norm.eps;
  return block;
}

Var ConvNorm::operator()(Context& ctx, const Var& x, bool relu, Var residual) {
  const auto convolution = [&](ConvEpilogue epilogue) {
    return conv2d(ctx, x, conv.weight, conv.options, std::move(epilogue));
  };
  if (groups) return group_norm(ctx, convolution({}), *groups, residual, relu);
  if (norm && ctx.training && norm->weight.requires_grad())
    return batch_norm(ctx, convolution({}), *norm, residual, relu);
  ConvEpilogue epilogue{
      .scale = {}, .bias = conv.bias, .residual = std::move(residual), .relu = relu, .packed = conv.packed};
  if (norm) {
    const FoldedBatchNorm& fold = folded(ctx);
    epilogue.scale = fold.scale;
    epilogue.bias = Var(fold.shift);
  }
  return convolution(std::move(epilogue));
}

const FoldedBatchNorm& ConvNorm::folded(Context& ctx) {
  // Folding again for every image would also make oneDNN pack the weights again.
  const auto identity = [](const Tensor& t) { return std::pair(t.storage().id, t.version()); };
  const std::array now{identity(norm->weight.value()), identity(norm->bias.value()),
                       identity(norm->running_mean), identity(norm->running_var)};
  if (!folded_.scale.defined() || folded_.scale.device() != ctx.device) {
    folded_ = fold_batch_norm(ctx, *norm);
  } else if (now != folded_from_) {
    fold_batch_norm(ctx, *norm, folded_);  // into the same tensors, which a recorded step keeps reading
  }
  folded_from_ = now;
  return folded_;
}

void ConvNorm::visit(ParamVisitor& visitor, std::string_view conv_name, std::string_view norm_name) {
  visitor.child(conv_name, conv);
  if (norm) visitor.child(norm_name, *norm);
  if (groups) visitor.child(norm_name, *groups);
}

namespace {

std::optional<ConvNorm> make_shortcut(Init& init, Norm norm, int64_t inputs, int64_t outputs,
                                      int64_t stride) {
  if (stride == 1 && inputs == outputs) return {};
  ConvNorm shortcut = ConvNorm::make(init, norm, inputs, outputs, 1, stride);
  shortcut.conv.packed = false;  // its result is only added
  return shortcut;
}

}  // namespace

ResidualBlock ResidualBlock::basic(Init& init, Norm norm, int64_t inputs, int64_t outputs, int64_t stride,
                                   int64_t dilation) {
  ResidualBlock block;
  block.convs.push_back(ConvNorm::make(init, norm, inputs, outputs, 3, stride, dilation));
  block.convs.push_back(ConvNorm::make(init, norm, outputs, outputs, 3, 1, dilation));
  block.shortcut = make_shortcut(init, norm, inputs, outputs, stride);
  return block;
}

ResidualBlock ResidualBlock::bottleneck(Init& init, Norm norm, int64_t inputs, int64_t outputs,
                                        int64_t stride, int64_t dilation) {
  const int64_t width = outputs / 4;
  ResidualBlock block;
  block.convs.push_back(ConvNorm::make(init, norm, inputs, width, 1));
  block.convs.push_back(ConvNorm::make(init, norm, width, width, 3, stride, dilation));
  block.convs.push_back(ConvNorm::make(init, norm, width, outputs, 1));
  block.shortcut = make_shortcut(init, norm, inputs, outputs, stride);
  return block;
}

Var ResidualBlock::operator()(Context& ctx, Var x) {
  Var y = convs[0](ctx, x, true);
  for (size_t i = 1; i + 1 < convs.size(); ++i) y = convs[i](ctx, y, true);
  Var residual = shortcut ? (*shortcut)(ctx, x, false) : std::move(x);
  return convs.back()(ctx, y, true, std::move(residual));
}

void ResidualBlock::visit(ParamVisitor& visitor) {
  for (size_t i = 0; i < convs.size(); ++i)
    convs[i].visit(visitor, fmt::format("conv{}", i + 1), fmt::format("bn{}", i + 1));
  if (shortcut) shortcut->visit(visitor, "downsample.0", "downsample.1");
}

}  // namespace rcnn
