// Backbones compute feature maps from images. Each family has a file, and each model an entry in
// `backbone_table`.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "layers/module.h"
#include "models/blocks.h"
#include "models/box_head.h"

namespace rcnn {

struct Backbone {
  virtual ~Backbone() = default;
  /// x (N, H, W, 3), normalised -> one map per level, finest first, each (N, H_l, W_l, channels[l]).
  virtual std::vector<Var> operator()(Context& ctx, const Var& x) = 0;
  virtual void visit(ParamVisitor& visitor) = 0;
  /// The stage of the backbone's tensor with this name: 1 is the stem, 2 is layer1, and so on.
  virtual int64_t stage_of(std::string_view name) const;

  std::vector<int64_t> channels;  // of each map, before the pyramid
  int64_t pyramid_channels = 0;   // of every level of the feature pyramid that follows; 0: none
  bool normalised = true;         // its convolutions have normalisations, unless norm = folded
  bool coarser_level = false;     // the RPN reads one more level: every other element of the coarsest
};

struct BackboneEntry {
  std::string_view name;
  std::vector<int64_t> strides;  // of the levels that the RPN sees, in pixels of the input, finest first
  ModelConfig (*config)();
  std::unique_ptr<Backbone> (*make)(const ModelConfig& config, Init& init);
  /// The head of `box-head = layer4`; null if there is none.
  std::unique_ptr<BoxHead> (*make_layer4)(const ModelConfig& config, Init& init) = nullptr;
};

/// One entry per model. Tests may add their own.
std::vector<BackboneEntry>& backbone_table();

/// The backbone of this configuration, and its head for pooled maps of `channels` channels. Both throw
/// InputError that lists the possible names.
std::unique_ptr<Backbone> make_backbone(const ModelConfig& config, Init& init);
std::unique_ptr<BoxHead> make_box_head(const ModelConfig& config, Init& init, int64_t channels);

// The functions in the table, each defined in the file of its backbone.
// models/nano_fpn.cpp
ModelConfig nano_fpn_config();
std::unique_ptr<Backbone> make_nano_fpn(const ModelConfig& config, Init& init);
// models/resnet.cpp; `layers` is 18, 34, 50 or 101
ModelConfig resnet_fpn_config();
ModelConfig resnet_c4_config();
ModelConfig small_resnet_c4_config();
ModelConfig resnet_dc5_config();
std::unique_ptr<Backbone> make_resnet_fpn(int layers, const ModelConfig& config, Init& init);
std::unique_ptr<Backbone> make_resnet_c4(int layers, const ModelConfig& config, Init& init);
std::unique_ptr<Backbone> make_resnet_dc5(int layers, const ModelConfig& config, Init& init);
std::unique_ptr<BoxHead> make_layer4_head(int layers, const ModelConfig& config, Init& init);
// models/vgg.cpp
ModelConfig vgg16_config();
std::unique_ptr<Backbone> make_vgg16(const ModelConfig& config, Init& init);

}  // namespace rcnn
