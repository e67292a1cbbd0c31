// From photographs to the network's input: resized, normalised, padded into one batch.
#pragma once

#include <span>

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

/// Resizes each image by the configuration's short and long side, normalises and pads to a common size. The
/// sizes in the result are those after resizing; a box is scaled by resized / original of each axis.
ImageBatch make_image_batch(Context& ctx, const ModelConfig& config, std::span<const RawImage> images);

/// The size an image of this size has after resizing: {height, width}.
std::pair<int64_t, int64_t> resized(const ModelConfig& config, int64_t height, int64_t width,
                                    float scale = 1);

}  // namespace rcnn
