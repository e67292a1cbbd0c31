#include "data/colour_jitter.h"

#include <algorithm>
#include <cstdint>

namespace rcnn {
namespace {

/// A block of pixels by channel, in 0..255: small enough for the L1 cache, with plain loops that the compiler
/// vectorises.
struct Block {
  static constexpr int kPixels = 256;
  alignas(64) float r[kPixels], g[kPixels], b[kPixels];

  /// A short block is filled up with its last pixel, so that all loops have the same length.
  void load(const uint8_t* rgb, int count) {
    for (int i = 0; i < count; ++i) {
      r[i] = rgb[3 * i];
      g[i] = rgb[3 * i + 1];
      b[i] = rgb[3 * i + 2];
    }
    for (float* channel : {r, g, b}) std::fill(channel + count, channel + kPixels, channel[count - 1]);
  }

  void store(uint8_t* rgb, int count) const {
    for (int i = 0; i < count; ++i) {
      rgb[3 * i] = static_cast<uint8_t>(r[i] + 0.5f);
      rgb[3 * i + 1] = static_cast<uint8_t>(g[i] + 0.5f);
      rgb[3 * i + 2] = static_cast<uint8_t>(b[i] + 0.5f);
    }
  }
};

float clamped(float value) { return std::min(std::max(value, 0.0f), 255.0f); }

float grey(float r, float g, float b) { return 0.2989f * r + 0.587f * g + 0.114f * b; }

void change_brightness(Block& block, float factor) {
  for (float* channel : {block.r, block.g, block.b})
    for (int i = 0; i < Block::kPixels; ++i) channel[i] = clamped(factor * channel[i]);
}

void change_contrast(Block& block, float factor, float mean) {
  for (float* channel : {block.r, block.g, block.b})
    for (int i = 0; i < Block::kPixels; ++i) channel[i] = clamped(factor * channel[i] + (1 - factor) * mean);
}

void change_saturation(Block& block, float factor) {
  for (int i = 0; i < Block::kPixels; ++i) {
    const float r = block.r[i], g = block.g[i], b = block.b[i], own = (1 - factor) * grey(r, g, b);
    block.r[i] = clamped(factor * r + own);
    block.g[i] = clamped(factor * g + own);
    block.b[i] = clamped(factor * b + own);
  }
}

/// Turns the hue and keeps the largest and the smallest channel, which determine saturation and value in HSV.
/// With the hue h in sixths of the circle, a channel is max - (max - min) clamp(min(k, 4 - k), 0, 1), where k
/// is h plus 5 for red, 3 for green and 1 for blue, modulo 6.
void turn_hue(Block& block, float circles) {
  for (int i = 0; i < Block::kPixels; ++i) {
    const float r = block.r[i], g = block.g[i], b = block.b[i];
    const float max = std::max(r, std::max(g, b)), chroma = max - std::min(r, std::min(g, b));
    const float inverse = 1 / (chroma > 0 ? chroma : 1.0f);  // the hue of grey has no effect
    float hue = max == r ? (g - b) * inverse : max == g ? 2 + (b - r) * inverse : 4 + (r - g) * inverse;
    hue += 6 * circles;
    hue = hue < 0 ? hue + 6 : hue;
    hue = hue >= 6 ? hue - 6 : hue;
    const auto channel = [&](float k) {
      k += hue;
      k = k >= 6 ? k - 6 : k;
      return max - chroma * std::max(0.0f, std::min(1.0f, std::min(k, 4 - k)));
    };
    block.r[i] = clamped(channel(5));
    block.g[i] = clamped(channel(3));
    block.b[i] = clamped(channel(1));
  }
}

/// Calls `body(block, bytes, pixels)` for the image's pixels, block by block.
template <class ImageT, class Body>
void for_each_block(ImageT& image, const Body& body) {
  const size_t pixels = image.rgb.size() / 3;
  Block block;
  for (size_t begin = 0; begin < pixels; begin += Block::kPixels) {
    const int count = static_cast<int>(std::min<size_t>(Block::kPixels, pixels - begin));
    auto* bytes = image.rgb.data() + 3 * begin;
    block.load(bytes, count);
    body(block, bytes, count);
  }
}

/// The mean grey after the change of brightness. It is summed in whole 256ths, so that the order does not
/// matter and the compiler may choose it.
float mean_grey(const Image& image, float brightness) {
  int64_t sum = 0;
  for_each_block(image, [&](Block& block, const uint8_t*, int count) {
    change_brightness(block, brightness);
    int32_t part = 0;
    for (int i = 0; i < count; ++i)
      part += static_cast<int32_t>(256 * grey(block.r[i], block.g[i], block.b[i]) + 0.5f);
    sum += part;
  });
  return static_cast<float>(static_cast<double>(sum) / (256.0 * static_cast<double>(image.rgb.size() / 3)));
}

}  // namespace

void change_colours(Image& image, const ColourFactors& factors) {
  if (image.rgb.empty()) return;
  const float mean = factors.contrast != 1 ? mean_grey(image, factors.brightness) : 0;
  for_each_block(image, [&](Block& block, uint8_t* bytes, int count) {
    if (factors.brightness != 1) change_brightness(block, factors.brightness);
    if (factors.contrast != 1) change_contrast(block, factors.contrast, mean);
    if (factors.saturation != 1) change_saturation(block, factors.saturation);
    if (factors.hue != 0) turn_hue(block, factors.hue);
    block.store(bytes, count);
  });
}

}  // namespace rcnn
