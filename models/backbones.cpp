#include "models/backbones.h"

namespace rcnn {
namespace {

const BackboneEntry& entry_of(std::string_view name) {
  for (const BackboneEntry& entry : backbone_table())
    if (entry.name == name) return entry;
  throw InputError(
      fmt::format("--model {}: no such model; there are {}", name, fmt::join(model_names(), ", ")));
}

}  // namespace

std::span<const BackboneEntry> backbone_table() {
  static const BackboneEntry table[] = {
      {"nano-fpn", {4, 8, 16}, nano_fpn_config, make_nano_fpn},
      {"resnet18-fpn", {4, 8, 16, 32, 64}, resnet18_fpn_config, make_resnet18_fpn},
      {"resnet18-c4", {16}, resnet18_c4_config, make_resnet18_c4},
  };
  return table;
}

std::unique_ptr<Backbone> make_backbone(const ModelConfig& config, Init& init) {
  return entry_of(config.backbone).make(init, parse_norm(config.norm));
}

std::vector<int64_t> level_strides(const ModelConfig& config) { return entry_of(config.backbone).strides; }

ModelConfig model_config(std::string_view name) { return entry_of(name).config(); }

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const BackboneEntry& entry : backbone_table()) names.emplace_back(entry.name);
  return names;
}

}  // namespace rcnn
