#include "models/backbones.h"

#include <charconv>

namespace rcnn {
namespace {

const BackboneEntry& entry_of(std::string_view name) {
  for (const BackboneEntry& entry : backbone_table())
    if (entry.name == name) return entry;
  throw InputError(
      fmt::format("--model {}: unknown model; expected one of {}", name, fmt::join(model_names(), ", ")));
}

// clang-format off
/// The three forms of a ResNet of `layers` layers, and its layer4 as the head.
template <int layers>
constexpr auto fpn = [](const ModelConfig& c, Init& init) { return make_resnet_fpn(layers, c, init); };
template <int layers>
constexpr auto c4 = [](const ModelConfig& c, Init& init) { return make_resnet_c4(layers, c, init); };
template <int layers>
constexpr auto dc5 = [](const ModelConfig& c, Init& init) { return make_resnet_dc5(layers, c, init); };
template <int layers>
constexpr auto layer4 = [](const ModelConfig& c, Init& init) { return make_layer4_head(layers, c, init); };

}  // namespace

std::vector<BackboneEntry>& backbone_table() {
  static std::vector<BackboneEntry> table = {
      {"nano-fpn", {4, 8, 16}, nano_fpn_config, make_nano_fpn},
      {"resnet18-fpn", {4, 8, 16, 32, 64}, resnet_fpn_config, fpn<18>},
      {"resnet34-fpn", {4, 8, 16, 32, 64}, resnet_fpn_config, fpn<34>},
      {"resnet50-fpn", {4, 8, 16, 32, 64}, resnet_fpn_config, fpn<50>},
      {"resnet101-fpn", {4, 8, 16, 32, 64}, resnet_fpn_config, fpn<101>},
      {"resnet18-c4", {16}, small_resnet_c4_config, c4<18>, layer4<18>},
      {"resnet34-c4", {16}, small_resnet_c4_config, c4<34>, layer4<34>},
      {"resnet50-c4", {16}, resnet_c4_config, c4<50>, layer4<50>},
      {"resnet101-c4", {16}, resnet_c4_config, c4<101>, layer4<101>},
      {"resnet18-dc5", {16}, resnet_dc5_config, dc5<18>},
      {"resnet34-dc5", {16}, resnet_dc5_config, dc5<34>},
      {"resnet50-dc5", {16}, resnet_dc5_config, dc5<50>},
      {"resnet101-dc5", {16}, resnet_dc5_config, dc5<101>},
      {"vgg16", {16}, vgg16_config, make_vgg16},
  };
  return table;
}
// clang-format on

std::unique_ptr<Backbone> make_backbone(const ModelConfig& config, Init& init) {
  return entry_of(config.backbone).make(config, init);
}

std::unique_ptr<BoxHead> make_box_head(const ModelConfig& config, Init& init, int64_t channels) {
  check_choice("box-head", config.box_head, "two-fc|layer4");
  if (config.box_head == "two-fc") return make_two_fc_head(config, init, channels);
  const BackboneEntry& entry = entry_of(config.backbone);
  std::vector<std::string_view> able;
  for (const BackboneEntry& other : backbone_table())
    if (other.make_layer4) able.push_back(other.name);
  check_input(entry.make_layer4, "--box-head layer4: {} has no stage left for the head; expected one of {}",
              entry.name, fmt::join(able, ", "));
  return entry.make_layer4(config, init);
}

int64_t Backbone::stage_of(std::string_view name) const {
  constexpr std::string_view kLayer = "layer";
  int64_t layer = 0;
  if (name.starts_with(kLayer))
    std::from_chars(name.data() + kLayer.size(), name.data() + name.size(), layer);
  return layer + 1;
}

std::vector<int64_t> level_strides(const ModelConfig& config) { return entry_of(config.backbone).strides; }

ModelConfig model_config(std::string_view name) {
  ModelConfig config = entry_of(name).config();
  config.backbone = name;
  return config;
}

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const BackboneEntry& entry : backbone_table()) names.emplace_back(entry.name);
  return names;
}

}  // namespace rcnn
