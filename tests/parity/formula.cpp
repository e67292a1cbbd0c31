#include "tests/parity/formula.h"

#include <fmt/format.h>

#include <cmath>
#include <string_view>

#include "models/weights.h"

namespace rcnn::parity {
namespace {

/// As in formula.py: a part of the name, the offset, the half width, and whether the half width is divided by
/// the square root of the number of inputs. The first entry whose part occurs in the name is used.
struct Spread {
  std::string_view part;
  float offset;
  double width;
  bool by_inputs;
};
constexpr Spread kSpreads[] = {
    {"running_var", 1.0f, 0.5, false},
    {"running_mean", 0.0f, 0.2, false},
    {"bn1.weight", 1.0f, 0.25, false},
    {"bn2.weight", 0.5f, 0.2, false},
    {"bn3.weight", 0.9f, 0.2, false},
    {"downsample.1.weight", 1.0f, 0.2, false},
    {"bn1.bias", -0.2f, 0.2, false},
    {"bn2.bias", -0.2f, 0.2, false},
    {"bn3.bias", -0.2f, 0.2, false},
    {"bias", -0.1f, 0.2, false},
    {".fpn.", 0.0f, 0.85, true},
    {"cls_logits.weight", 0.0f, 1.2, true},
    {"head.bbox_pred.weight", 0.0f, 0.3, true},
    {"cls_score.weight", 0.0f, 2.5, true},
    {"predictor.bbox_pred.weight", 0.0f, 1.5, true},
    {"", 0.0f, 2.45, true},
};

const Spread& spread_of(const std::string& name) {
  const Spread* spread = kSpreads;
  while (name.find(spread->part) == std::string::npos) ++spread;
  return *spread;
}

}  // namespace

uint32_t formula_start(const std::string& name) {
  uint32_t start = 2166136261u;
  for (const char c : name) start = (start ^ static_cast<uint8_t>(c)) * 16777619u;
  return start;
}

uint32_t formula_bits(uint32_t start, uint32_t i) {
  uint32_t x = start + i * 0x9E3779B1u;
  x = (x ^ (x >> 16)) * 0x85EBCA6Bu;
  x = (x ^ (x >> 13)) * 0xC2B2AE35u;
  return x ^ (x >> 16);
}

Tensor formula_weight(const std::string& salt, const std::string& name, const Shape& shape) {
  const Spread& spread = spread_of(name);
  double width = spread.width;
  if (spread.by_inputs) width /= std::sqrt(static_cast<double>(shape.numel() / shape[0]));
  const auto scale = static_cast<float>(width / (1 << 23));
  const uint32_t start = formula_start(salt + "/" + name);
  const Tensor tensor = Tensor::empty(shape, DType::f32);
  uint32_t i = 0;
  for (float& value : tensor.mutable_values<float>()) {
    const int32_t number = static_cast<int32_t>(formula_bits(start, i++) >> 8) - (1 << 23);
    value = static_cast<float>(number) * scale + spread.offset;
  }
  return tensor;
}

Image formula_image(const std::string& salt, int index, int height, int width) {
  const uint32_t blocks = formula_start(fmt::format("{}/blocks{}", salt, index));
  const uint32_t noise = formula_start(fmt::format("{}/noise{}", salt, index));
  const int across = (width + 15) / 16;
  Image image(width, height);
  uint32_t i = 0;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c, ++i) {
        const auto place = static_cast<uint32_t>((y / 16 * across + x / 16) * 3 + c);
        const uint32_t block = formula_bits(blocks, place) >> 24;
        image.rgb[i] = static_cast<uint8_t>((3 * block + (formula_bits(noise, i) >> 24)) / 4);
      }
  return image;
}

void set_formula_weights(FasterRcnn& model, const std::string& salt) {
  visit_module(
      model,
      [&](const std::string& name, Var& value, const Shape& pooled) {
        const Shape& shape = value.shape();
        const Tensor weight = formula_weight(salt, name, file_shape(shape));
        value.value().copy_from(from_file_layout(weight, shape, pooled).cast(value.dtype()));
      },
      [&](const std::string& name, Tensor& value) {
        value.copy_from(formula_weight(salt, name, value.shape()).cast(value.dtype()));
      });
}

}  // namespace rcnn::parity
