// The pieces that backbones are put together from.
#pragma once

#include <array>
#include <optional>

#include "layers/batch_norm.h"
#include "layers/conv2d.h"

namespace rcnn {

/// A convolution without bias. torchvision's padding: (size - 1) / 2.
Conv2d make_conv(Init& init, int64_t inputs, int64_t outputs, int64_t size, int64_t stride = 1);
BatchNorm make_batch_norm(Init& init, int64_t channels);

/// Convolution, batch normalisation and, at wish, residual and ReLU. In training the convolution is bare and
/// the normalisation carries the rest; in evaluation the statistics are folded into the convolution's
/// epilogue.
struct ConvNorm {
  Conv2d conv;
  BatchNorm norm;

  static ConvNorm make(Init& init, int64_t inputs, int64_t outputs, int64_t size, int64_t stride = 1);
  Var operator()(Context& ctx, const Var& x, bool relu, const Var& residual = {});

 private:
  const FoldedBatchNorm& folded(Context& ctx);
  FoldedBatchNorm folded_;
  std::array<std::pair<uint64_t, uint64_t>, 4> folded_from_{};  // storage and version of the four tensors
};

/// The residual block of ResNet-18 and -34 (He et al. 2016): two 3x3 convolutions, and a 1x1 one on the
/// shortcut where the size changes. Names are torchvision's.
struct BasicBlock {
  ConvNorm first, second;
  std::optional<ConvNorm> shortcut;

  static BasicBlock make(Init& init, int64_t inputs, int64_t outputs, int64_t stride);
  Var operator()(Context& ctx, const Var& x);
  void visit(ParamVisitor& visitor);
};

}  // namespace rcnn
