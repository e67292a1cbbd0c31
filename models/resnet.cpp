// ResNet-18 (He et al. 2016) as a backbone, under the names and with the strides of torchvision's.
//
// resnet18-fpn: the maps of all four stages (C2 to C5, strides 4 to 32) and a feature pyramid of 256
// channels; the RPN sees a fifth level of stride 64. What torchvision's FasterRCNN is on
// resnet_fpn_backbone("resnet18").
//
// resnet18-c4: the map of the third stage alone (C4, stride 16), as in the Faster R-CNN paper. RoIs are
// pooled from it and go through the head of two fully connected layers.
#include "models/backbones.h"

#include "layers/max_pool.h"

namespace rcnn {
namespace {

constexpr int64_t kWidths[] = {64, 128, 256, 512};  // of the four stages
constexpr int64_t kBlocks = 2;                      // a stage

struct ResNet18 : Backbone {
  ConvNorm conv1;
  std::vector<BasicBlock> blocks;  // of all stages in turn
  size_t first_map;                // the first stage whose map is given

  ResNet18(Init& init, Norm norm, size_t stages, size_t first)
      : conv1(ConvNorm::make(init, norm, 3, 64, 7, 2)), first_map(first) {
    int64_t width = 64;
    for (size_t stage = 0; stage < stages; ++stage) {
      for (int64_t block = 0; block < kBlocks; ++block) {
        const int64_t stride = stage > 0 && block == 0 ? 2 : 1;
        blocks.push_back(BasicBlock::make(init, norm, width, kWidths[stage], stride));
        width = kWidths[stage];
      }
      if (stage >= first) channels.push_back(width);
    }
  }

  std::vector<Var> operator()(Context& ctx, const Var& x) override {
    Var y = max_pool(ctx, conv1(ctx, x, true), 3, 2, 1);
    std::vector<Var> maps;
    for (size_t i = 0; i < blocks.size(); ++i) {
      y = blocks[i](ctx, y);
      const size_t stage = i / kBlocks;
      if (i % kBlocks == kBlocks - 1 && stage >= first_map) maps.push_back(y);
    }
    return maps;
  }

  void visit(ParamVisitor& visitor) override {
    conv1.visit(visitor, "conv1", "bn1");
    for (size_t i = 0; i < blocks.size(); ++i)
      visitor.child(fmt::format("layer{}.{}", i / kBlocks + 1, i % kBlocks), blocks[i]);
  }
};

}  // namespace

std::unique_ptr<Backbone> make_resnet18_fpn(Init& init, Norm norm) {
  auto backbone = std::make_unique<ResNet18>(init, norm, 4, 0);
  backbone->pyramid_channels = 256;
  backbone->coarser_level = true;
  return backbone;
}

ModelConfig resnet18_fpn_config() {
  ModelConfig config;  // torchvision's defaults
  config.backbone = "resnet18-fpn";
  config.norm = "frozen";
  config.frozen_stages = 2;
  return config;
}

std::unique_ptr<Backbone> make_resnet18_c4(Init& init, Norm norm) {
  return std::make_unique<ResNet18>(init, norm, 3, 2);
}

ModelConfig resnet18_c4_config() {
  ModelConfig config;
  config.backbone = "resnet18-c4";
  config.norm = "frozen";
  config.frozen_stages = 2;
  // Small enough for a CPU: a shorter side than torchvision's, and as many RoIs as the papers take (128 an
  // image of them in training, 300 in detection).
  config.short_side = 320;
  config.long_side = 640;
  config.size_divisible = 16;
  config.anchor_sizes = {{16, 32, 64, 128, 256}};
  config.rpn_post_nms_top_n_train = 1000;
  config.rpn_post_nms_top_n_test = 300;
  config.box_batch_size_per_image = 128;
  return config;
}

}  // namespace rcnn
