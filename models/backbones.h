// Backbones: from an image to its feature maps. One file each, and one line in `backbone_table`.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "layers/module.h"
#include "models/blocks.h"
#include "models/config.h"

namespace rcnn {

struct Backbone {
  virtual ~Backbone() = default;
  /// x (N, H, W, 3), normalised -> one map a level, finest first, each (N, H_l, W_l, channels[l]).
  virtual std::vector<Var> operator()(Context& ctx, const Var& x) = 0;
  virtual void visit(ParamVisitor& visitor) = 0;

  std::vector<int64_t> channels;  // of each map, before the pyramid
  int64_t pyramid_channels = 0;   // of every level of the feature pyramid on top; 0: there is none
  bool coarser_level = false;     // the RPN sees one level more: every other element of the coarsest
};

struct BackboneEntry {
  std::string_view name;
  std::vector<int64_t> strides;  // of the levels that the RPN sees, in pixels of the input, finest first
  ModelConfig (*config)();
  std::unique_ptr<Backbone> (*make)(Init& init, Norm norm);
};

std::span<const BackboneEntry> backbone_table();

/// The backbone of this configuration; throws InputError listing the names there are.
std::unique_ptr<Backbone> make_backbone(const ModelConfig& config, Init& init);

// One pair a backbone, each in models/<name>.cpp.
ModelConfig nano_fpn_config();
std::unique_ptr<Backbone> make_nano_fpn(Init& init, Norm norm);
// models/resnet.cpp
ModelConfig resnet18_fpn_config();
std::unique_ptr<Backbone> make_resnet18_fpn(Init& init, Norm norm);
ModelConfig resnet18_c4_config();
std::unique_ptr<Backbone> make_resnet18_c4(Init& init, Norm norm);

}  // namespace rcnn
