// VGG16 (Simonyan & Zisserman 2015), the backbone of the Fast and Faster R-CNN papers: thirteen 3x3
// convolutions up to conv5_3, stride 16. The head is the classifier's two fully connected layers of 4096
// outputs, with dropout. Names are those of torchvision's vgg16: convolution i of `features` is
// `backbone.body.<i>`.
#include <charconv>

#include "layers/max_pool.h"
#include "models/backbones.h"

namespace rcnn {
namespace {

struct Vgg16 : Backbone {
  struct Layer {
    int64_t index;  // in torchvision's list of layers
    size_t stage;
    Conv2d conv;
  };
  std::vector<Layer> layers;

  explicit Vgg16(Init& init) {
    constexpr int64_t kWidths[] = {64, 128, 256, 512, 512}, kConvs[] = {2, 2, 3, 3, 3};
    int64_t inputs = 3, index = 0;
    for (size_t stage = 0; stage < std::size(kWidths); ++stage) {
      for (int64_t i = 0; i < kConvs[stage]; ++i) {
        Conv2d conv = make_conv(init, inputs, kWidths[stage], 3);
        conv.bias = init.constant({kWidths[stage]}, 0);
        // Between stages the pooling reads it.
        conv.packed = i + 1 < kConvs[stage] || stage + 1 == std::size(kWidths);
        layers.push_back({index, stage, conv});
        index += 2;  // the ReLU
        inputs = kWidths[stage];
      }
      ++index;  // the pooling
    }
    channels = {inputs};
    normalised = false;
  }

  std::vector<Var> operator()(Context& ctx, const Var& x) override {
    Var y = x;
    for (size_t i = 0; i < layers.size(); ++i) {
      // Caffe rounds the size up, torchvision down. Both agree if the input is padded to multiples of 16
      // (size-divisible).
      if (i > 0 && layers[i].stage != layers[i - 1].stage) y = max_pool(ctx, y, 2, 2, 0, true);
      y = layers[i].conv(ctx, y, true);
    }
    return {y};
  }

  void visit(ParamVisitor& visitor) override {
    for (Layer& layer : layers) visitor.child(fmt::format("{}", layer.index), layer.conv);
  }

  /// conv1_1 and conv1_2 are stage 1, and so on.
  int64_t stage_of(std::string_view name) const override {
    int64_t index = -1;
    std::from_chars(name.data(), name.data() + name.size(), index);
    for (const Layer& layer : layers)
      if (layer.index == index) return static_cast<int64_t>(layer.stage) + 1;
    return 0;
  }
};

}  // namespace

std::unique_ptr<Backbone> make_vgg16(const ModelConfig& config, Init& init) {
  check_input(norm_of(config).kind == Norm::folded,
              "--norm {}: vgg16 has no normalisation: expected --norm folded", config.norm);
  return std::make_unique<Vgg16>(init);
}

ModelConfig vgg16_config() {
  ModelConfig config;
  config.norm = "folded";
  config.frozen_stages = 2;
  config.short_side = 600;
  config.long_side = 1000;
  config.size_divisible = 16;
  config.anchor_sizes = {{128, 256, 512}};
  config.rpn_pre_nms_top_n_train = 12000;
  config.rpn_pre_nms_top_n_test = 6000;
  config.rpn_post_nms_top_n_test = 300;
  config.box_pooling = "roi-pool";
  config.box_head_size = 4096;
  config.box_dropout = 0.5f;
  config.box_batch_size_per_image = 128;
  return config;
}

}  // namespace rcnn
