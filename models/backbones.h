// Backbones: from an image to its feature maps. One file each, and one line in `backbone_table`.
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
  /// x (N, H, W, 3), normalised -> one map a level, finest first, each (N, H_l, W_l, channels[l]).
  virtual std::vector<Var> operator()(Context& ctx, const Var& x) = 0;
  virtual void visit(ParamVisitor& visitor) = 0;
  /// The stage that a tensor with this name in the backbone belongs to: 1 the stem, 2 layer1, and so on.
  virtual int64_t stage_of(std::string_view name) const;

  std::vector<int64_t> channels;  // of each map, before the pyramid
  int64_t pyramid_channels = 0;   // of every level of the feature pyramid on top; 0: there is none
  bool normalised = true;         // its convolutions have normalisations, which norm = folded leaves out
  bool coarser_level = false;     // the RPN sees one level more: every other element of the coarsest
};

struct BackboneEntry {
  std::string_view name;
  std::vector<int64_t> strides;  // of the levels that the RPN sees, in pixels of the input, finest first
  ModelConfig (*config)();
  std::unique_ptr<Backbone> (*make)(const ModelConfig& config, Init& init);
  /// The head of `box-head = layer4`; null: there is none.
  std::unique_ptr<BoxHead> (*make_layer4)(const ModelConfig& config, Init& init) = nullptr;
};

/// One line a model. A test may add its own.
std::vector<BackboneEntry>& backbone_table();

/// The backbone of this configuration, and its head for pooled maps of `channels` channels; throws InputError
/// listing the names there are.
std::unique_ptr<Backbone> make_backbone(const ModelConfig& config, Init& init);
std::unique_ptr<BoxHead> make_box_head(const ModelConfig& config, Init& init, int64_t channels);

// What the table names, each in the file of its backbone.
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
