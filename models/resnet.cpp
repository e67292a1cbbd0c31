// ResNets (He et al. 2016) as backbones, with the names and strides of torchvision's: 18 and 34 layers of
// basic blocks, 50 and 101 of bottlenecks. Each has three forms:
//
// -fpn: the maps of all four stages (C2 to C5, strides 4 to 32) and a feature pyramid of 256 channels. The
// RPN reads a fifth level of stride 64. resnet50-fpn is torchvision's fasterrcnn_resnet50_fpn.
//
// -c4: only the map of the third stage (C4, stride 16), as in the Faster R-CNN paper. RoIs are pooled from
// it, and the head is the fourth stage or two fully connected layers (`box-head`).
//
// -dc5: the map of the fourth stage, whose stride is replaced by a dilation (C5, stride 16).
#include "layers/average_pool.h"
#include "layers/max_pool.h"
#include "models/backbones.h"
#include "models/box_head.h"

namespace rcnn {
namespace {

constexpr size_t kStages = 4;

struct Depth {
  int layers;
  bool bottleneck;
  int64_t blocks[kStages];  // of each stage
};
constexpr Depth kDepths[] = {
    {18, false, {2, 2, 2, 2}},
    {34, false, {3, 4, 6, 3}},
    {50, true, {3, 4, 6, 3}},
    {101, true, {3, 4, 23, 3}},
};

const Depth& depth_of(int layers) {
  for (const Depth& depth : kDepths)
    if (depth.layers == layers) return depth;
  throw Error(fmt::format("there is no ResNet with {} layers", layers));
}

int64_t stage_channels(const Depth& depth, size_t stage) {
  return (int64_t{64} << stage) * (depth.bottleneck ? 4 : 1);
}

using Stage = std::vector<ResidualBlock>;

/// Stages 0 to 3 are layer1 to layer4. `dilate` replaces the stride by a dilation, which the first block
/// does not have, as in torchvision: its input is not spread out yet.
Stage make_stage(Init& init, Norm norm, const Depth& depth, size_t stage, bool dilate = false) {
  const int64_t outputs = stage_channels(depth, stage), stride = stage > 0 && !dilate ? 2 : 1;
  const auto make = depth.bottleneck ? ResidualBlock::bottleneck : ResidualBlock::basic;
  Stage blocks;
  blocks.push_back(make(init, norm, stage > 0 ? stage_channels(depth, stage - 1) : 64, outputs, stride, 1));
  for (int64_t i = 1; i < depth.blocks[stage]; ++i)
    blocks.push_back(make(init, norm, outputs, outputs, 1, dilate ? 2 : 1));
  return blocks;
}

void visit_stage(ParamVisitor& visitor, Stage& stage, size_t index) {
  for (size_t i = 0; i < stage.size(); ++i) visitor.child(fmt::format("layer{}.{}", index + 1, i), stage[i]);
}

struct ResNet : Backbone {
  ConvNorm conv1;
  std::vector<Stage> stages;
  size_t first_map;  // the first stage whose map is returned

  ResNet(Init& init, Norm norm, const Depth& depth, size_t count, size_t first, bool dilate_last = false)
      : conv1(ConvNorm::make(init, norm, 3, 64, 7, 2)), first_map(first) {
    conv1.conv.packed = false;  // the pooling reads it
    for (size_t stage = 0; stage < count; ++stage) {
      stages.push_back(make_stage(init, norm, depth, stage, dilate_last && stage + 1 == count));
      if (stage >= first) channels.push_back(stage_channels(depth, stage));
    }
  }

  std::vector<Var> operator()(Context& ctx, const Var& x) override {
    Var y = max_pool(ctx, conv1(ctx, x, true), 3, 2, 1);
    std::vector<Var> maps;
    for (size_t stage = 0; stage < stages.size(); ++stage) {
      for (ResidualBlock& block : stages[stage]) y = block(ctx, std::move(y));
      if (stage >= first_map) maps.push_back(y);
    }
    return maps;
  }

  void visit(ParamVisitor& visitor) override {
    conv1.visit(visitor, "conv1", "bn1");
    for (size_t stage = 0; stage < stages.size(); ++stage) visit_stage(visitor, stages[stage], stage);
  }
};

/// The fourth stage applied to the pooled map of each RoI, and the mean over the result. If an image has
/// fewer RoIs than are sampled, the padding rows are 0 and would count in the statistics of norm = batch;
/// frozen and group normalise each RoI separately.
struct Layer4Head : BoxHead {
  Stage layer4;

  Layer4Head(Init& init, Norm norm, const Depth& depth) : layer4(make_stage(init, norm, depth, 3)) {
    features = stage_channels(depth, 3);
    layer4.back().convs.back().conv.packed = false;  // its mean is taken
  }
  Var operator()(Context& ctx, const Var& pooled) override {
    Var y = pooled;
    for (ResidualBlock& block : layer4) y = block(ctx, std::move(y));
    return average_pool(ctx, y);
  }
  void visit(ParamVisitor& visitor) override { visit_stage(visitor, layer4, 3); }
};

}  // namespace

std::unique_ptr<Backbone> make_resnet_fpn(int layers, const ModelConfig& config, Init& init) {
  auto backbone = std::make_unique<ResNet>(init, norm_of(config), depth_of(layers), 4, 0);
  backbone->pyramid_channels = 256;
  backbone->coarser_level = true;
  return backbone;
}

std::unique_ptr<Backbone> make_resnet_c4(int layers, const ModelConfig& config, Init& init) {
  return std::make_unique<ResNet>(init, norm_of(config), depth_of(layers), 3, 2);
}

std::unique_ptr<Backbone> make_resnet_dc5(int layers, const ModelConfig& config, Init& init) {
  return std::make_unique<ResNet>(init, norm_of(config), depth_of(layers), 4, 3, true);
}

std::unique_ptr<BoxHead> make_layer4_head(int layers, const ModelConfig& config, Init& init) {
  return std::make_unique<Layer4Head>(init, norm_of(config), depth_of(layers));
}

ModelConfig resnet_fpn_config() {
  ModelConfig config;  // torchvision's defaults
  config.norm = "frozen";
  config.frozen_stages = 2;
  return config;
}

ModelConfig resnet_dc5_config() {
  ModelConfig config = resnet_fpn_config();
  config.anchor_sizes = {{32, 64, 128, 256, 512}};
  // As in Detectron2: one level has to give as many proposals as five levels of a pyramid.
  config.rpn_pre_nms_top_n_train = 12000;
  config.rpn_pre_nms_top_n_test = 6000;
  return config;
}

ModelConfig resnet_c4_config() {
  ModelConfig config = resnet_dc5_config();
  config.box_head = "layer4";
  config.box_pool_size = 14;  // layer4 reduces it to 7
  return config;
}

ModelConfig small_resnet_c4_config() {
  ModelConfig config = resnet_fpn_config();
  // Small enough for a CPU: a shorter side than torchvision's, and as many RoIs per image as in the papers
  // (128 in training, 300 in detection).
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
