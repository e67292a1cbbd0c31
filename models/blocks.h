// The pieces that backbones are put together from.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "layers/batch_norm.h"
#include "layers/conv2d.h"

namespace rcnn {

/// What becomes of batch normalisation: `batch` is trained and normalises by the batch's own statistics,
/// `frozen` normalises by its running statistics in training too, and nothing of it is ever trained
/// (torchvision's FrozenBatchNorm2d), `folded` is none: the convolution has a bias instead.
enum class Norm : uint8_t { batch, frozen, folded };
/// "batch", "frozen" or "folded".
Norm parse_norm(std::string_view name);

/// A convolution without bias. torchvision's padding: (size - 1) / 2.
Conv2d make_conv(Init& init, int64_t inputs, int64_t outputs, int64_t size, int64_t stride = 1);
BatchNorm make_batch_norm(Init& init, int64_t channels);

/// Convolution, batch normalisation and, at wish, residual and ReLU. Where the batch's own statistics count
/// the convolution is bare and the normalisation carries the rest; otherwise the running statistics are
/// folded into the convolution's epilogue: in evaluation, and in training where the normalisation's weight
/// wants no gradient.
struct ConvNorm {
  Conv2d conv;
  std::optional<BatchNorm> norm;  // none: the convolution has a bias

  static ConvNorm make(Init& init, Norm norm, int64_t inputs, int64_t outputs, int64_t size,
                       int64_t stride = 1);
  Var operator()(Context& ctx, const Var& x, bool relu, const Var& residual = {});
  /// Shows the two under the names they have in the module around them.
  void visit(ParamVisitor& visitor, std::string_view conv_name, std::string_view norm_name);

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

  static BasicBlock make(Init& init, Norm norm, int64_t inputs, int64_t outputs, int64_t stride);
  Var operator()(Context& ctx, const Var& x);
  void visit(ParamVisitor& visitor);
};

}  // namespace rcnn
