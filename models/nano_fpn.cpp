// nano-fpn: a detector of 0.8 M parameters that learns from scratch on a CPU in minutes.
//
// A small residual network with maps at strides 4, 8 and 16 (C2, C3, C4), a feature pyramid of 32 channels
// and two anchor sizes per level. Everything is trained, batch normalisation included.
#include "models/backbones.h"

namespace rcnn {
namespace {

struct NanoFpn : Backbone {
  ConvNorm conv1, conv2;
  ResidualBlock layer1, layer2, layer3;
  ConvNorm layer3_conv;

  NanoFpn(Init& init, Norm norm)
      : conv1(ConvNorm::make(init, norm, 3, 16, 3, 2)),
        conv2(ConvNorm::make(init, norm, 16, 32, 3, 2)),
        layer1(ResidualBlock::basic(init, norm, 32, 32, 1)),
        layer2(ResidualBlock::basic(init, norm, 32, 64, 2)),
        layer3(ResidualBlock::basic(init, norm, 64, 128, 2)),
        layer3_conv(ConvNorm::make(init, norm, 128, 128, 3)) {
    channels = {32, 64, 128};
    pyramid_channels = 32;
  }

  std::vector<Var> operator()(Context& ctx, const Var& x) override {
    const Var c2 = layer1(ctx, conv2(ctx, conv1(ctx, x, true), true));
    const Var c3 = layer2(ctx, c2);
    const Var c4 = layer3_conv(ctx, layer3(ctx, c3), true);
    return {c2, c3, c4};
  }

  void visit(ParamVisitor& visitor) override {
    conv1.visit(visitor, "conv1", "bn1");
    conv2.visit(visitor, "conv2", "bn2");
    visitor.child("layer1.0", layer1);
    visitor.child("layer2.0", layer2);
    visitor.child("layer3.0", layer3);
    layer3_conv.visit(visitor, "layer3.1.0", "layer3.1.1");
  }
};

}  // namespace

std::unique_ptr<Backbone> make_nano_fpn(const ModelConfig& config, Init& init) {
  return std::make_unique<NanoFpn>(init, norm_of(config));
}

ModelConfig nano_fpn_config() {
  ModelConfig config;
  config.short_side = 240;
  config.long_side = 640;
  config.size_divisible = 16;
  config.anchor_sizes = {{16, 23}, {32, 45}, {64, 90}};
  // Two anchor sizes per level leave gaps in which no anchor reaches an IoU of 0.7. A sample of 256 anchors
  // would be nearly all background, and the box loss, which is divided by its size, would nearly vanish.
  config.rpn_fg_iou_thresh = 0.6f;
  config.rpn_batch_size_per_image = 64;
  config.rpn_pre_nms_top_n_train = config.rpn_post_nms_top_n_train = 500;
  config.rpn_pre_nms_top_n_test = config.rpn_post_nms_top_n_test = 200;
  config.box_pool_size = 5;
  config.box_canonical_size = 64;
  config.box_canonical_level = 1;
  config.box_head_size = 256;
  config.box_batch_size_per_image = 64;
  config.box_positive_fraction = 0.5f;
  return config;
}

}  // namespace rcnn
