// The building blocks of backbones.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/group_norm.h"
#include "models/config.h"

namespace rcnn {

/// How the backbone normalises:
///   batch   batch normalisation by the batch's own statistics in training; its parameters are trained
///   frozen  batch normalisation by the running statistics, in training too; nothing of it is trained
///           (torchvision's FrozenBatchNorm2d)
///   folded  not at all: the convolution has a bias instead
///   group   group normalisation (Wu & He 2018) in 32 groups, or fewer for less than 64 channels
struct Norm {
  enum Kind : uint8_t { batch, frozen, folded, group } kind = batch;
  float eps = 1e-5f;
};
/// The normalisation that config.norm names: "batch", "frozen", "folded" or "group".
Norm norm_of(const ModelConfig& config);

/// A convolution without bias, padded as in torchvision: by dilation (size - 1) / 2.
Conv2d make_conv(Init& init, int64_t inputs, int64_t outputs, int64_t size, int64_t stride = 1,
                 int64_t dilation = 1);

/// Convolution and normalisation, optionally followed by a residual sum and a ReLU. With group
/// normalisation, or with batch normalisation by the batch's own statistics, the normalisation applies
/// residual and ReLU. Otherwise the epilogue of the convolution does, with the running statistics folded
/// into it: in evaluation, and in training if the normalisation's weight needs no gradient.
struct ConvNorm {
  Conv2d conv;
  std::optional<BatchNorm> norm;    // norm = batch or frozen
  std::optional<GroupNorm> groups;  // norm = group; with neither, the convolution has a bias

  static ConvNorm make(Init& init, Norm norm, int64_t inputs, int64_t outputs, int64_t size,
                       int64_t stride = 1, int64_t dilation = 1);
  Var operator()(Context& ctx, const Var& x, bool relu, Var residual = {});
  /// Visits convolution and normalisation under the names that they have in the surrounding module.
  void visit(ParamVisitor& visitor, std::string_view conv_name, std::string_view norm_name);

 private:
  const FoldedBatchNorm& folded(Context& ctx);
  FoldedBatchNorm folded_;
  std::array<std::pair<uint64_t, uint64_t>, 4> folded_from_{};  // storage and version of the four tensors
};

/// The residual block (He et al. 2016): a sequence of convolutions, with the block's input added to the
/// result of the last one. If the size or the number of channels changes, the input passes through a 1x1
/// convolution. The names are torchvision's.
struct ResidualBlock {
  std::vector<ConvNorm> convs;
  std::optional<ConvNorm> shortcut;

  /// The block of ResNet-18 and -34: two 3x3 convolutions.
  static ResidualBlock basic(Init& init, Norm norm, int64_t inputs, int64_t outputs, int64_t stride = 1,
                             int64_t dilation = 1);
  /// The block of deeper ResNets: 1x1 to a quarter of the outputs, 3x3 with the stride, and 1x1.
  static ResidualBlock bottleneck(Init& init, Norm norm, int64_t inputs, int64_t outputs, int64_t stride = 1,
                                  int64_t dilation = 1);
  /// Without gradients, the result takes the memory of an `x` that is moved here (see conv2d).
  Var operator()(Context& ctx, Var x);
  void visit(ParamVisitor& visitor);
};

}  // namespace rcnn
