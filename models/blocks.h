// The pieces that backbones are put together from.
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

/// How the backbone normalises: `batch` is trained and normalises by the batch's own statistics, `frozen`
/// normalises by its running statistics in training too, and nothing of it is ever trained (torchvision's
/// FrozenBatchNorm2d), `folded` is none: the convolution has a bias instead. `group` is group normalisation
/// (Wu & He 2018) in 32 groups, fewer for less than 64 channels.
struct Norm {
  enum Kind : uint8_t { batch, frozen, folded, group } kind = batch;
  float eps = 1e-5f;
};
/// As the configuration says: its `norm` is "batch", "frozen", "folded" or "group".
Norm norm_of(const ModelConfig& config);

/// A convolution without bias. torchvision's padding: (size - 1) / 2.
Conv2d make_conv(Init& init, int64_t inputs, int64_t outputs, int64_t size, int64_t stride = 1,
                 int64_t dilation = 1);

/// Convolution, normalisation and, at wish, residual and ReLU. Where the batch's own statistics count
/// the convolution is bare and the normalisation carries the rest; otherwise the running statistics are
/// folded into the convolution's epilogue: in evaluation, and in training where the normalisation's weight
/// wants no gradient.
struct ConvNorm {
  Conv2d conv;
  std::optional<BatchNorm> norm;    // where this and ...
  std::optional<GroupNorm> groups;  // ... this are missing, the convolution has a bias

  static ConvNorm make(Init& init, Norm norm, int64_t inputs, int64_t outputs, int64_t size,
                       int64_t stride = 1, int64_t dilation = 1);
  Var operator()(Context& ctx, const Var& x, bool relu, const Var& residual = {});
  /// Shows the two under the names they have in the module around them.
  void visit(ParamVisitor& visitor, std::string_view conv_name, std::string_view norm_name);

 private:
  const FoldedBatchNorm& folded(Context& ctx);
  FoldedBatchNorm folded_;
  std::array<std::pair<uint64_t, uint64_t>, 4> folded_from_{};  // storage and version of the four tensors
};

/// The residual block (He et al. 2016): convolutions one after the other, and the block's input added to the
/// last, through a 1x1 convolution where the size changes. Names are torchvision's.
struct ResidualBlock {
  std::vector<ConvNorm> convs;
  std::optional<ConvNorm> shortcut;

  /// That of ResNet-18 and -34: two 3x3 convolutions.
  static ResidualBlock basic(Init& init, Norm norm, int64_t inputs, int64_t outputs, int64_t stride = 1,
                             int64_t dilation = 1);
  /// That of deeper ones: 1x1 to a quarter of the outputs, 3x3, which has the stride, and 1x1.
  static ResidualBlock bottleneck(Init& init, Norm norm, int64_t inputs, int64_t outputs, int64_t stride = 1,
                                  int64_t dilation = 1);
  Var operator()(Context& ctx, const Var& x);
  void visit(ParamVisitor& visitor);
};

}  // namespace rcnn
