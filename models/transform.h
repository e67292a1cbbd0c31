// From photographs to the network's input: resized, normalised, padded into one batch.
#pragma once

#include <span>

#include "core/box.h"
#include "core/context.h"
#include "models/config.h"
#include "models/ground_truth.h"

namespace rcnn {

/// The bytes of a photograph, RGB, row by row.
struct RawImage {
  const uint8_t* pixels;
  int64_t height, width;
  float scale = 1;  // of the configuration's short and long side
};

/// Resizes each image by the configuration's short and long side, normalises and pads to a common size.
ImageBatch make_image_batch(Context& ctx, const ModelConfig& config, std::span<const RawImage> images);

/// An image after resizing, and the way of boxes there and back.
struct ResizedImage {
  int64_t height, width;
  float sy, sx;  // multiply boxes on the way there; the rounding of `size-rounding` has its own rule
  float back_y, back_x;
  float plus_one;  // 1: boxes end at whole pixels there

  Box to_input(const Box& box) const {
    return {box.x1 * sx, box.y1 * sy, (box.x2 - plus_one) * sx, (box.y2 - plus_one) * sy};
  }
  Box from_input(const Box& box) const {
    return {box.x1 * back_x, box.y1 * back_y, box.x2 * back_x + plus_one, box.y2 * back_y + plus_one};
  }
};

/// Of an image of this size; `scale` multiplies the configuration's short and long side.
ResizedImage resized(const ModelConfig& config, int64_t height, int64_t width, float scale = 1);

}  // namespace rcnn
