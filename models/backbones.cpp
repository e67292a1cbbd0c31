#include "models/backbones.h"

namespace rcnn {

std::span<const BackboneEntry> backbone_table() {
  static constexpr BackboneEntry table[] = {
      {"nano-fpn", nano_fpn_config, make_nano_fpn},
  };
  return table;
}

std::unique_ptr<Backbone> make_backbone(std::string_view name, Init& init) {
  for (const BackboneEntry& entry : backbone_table())
    if (entry.name == name) return entry.make(init);
  throw InputError(
      fmt::format("model {}: no such model; there are {}", name, fmt::join(model_names(), ", ")));
}

}  // namespace rcnn
