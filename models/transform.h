// From photographs to the network's input: resized, normalised, padded into one batch.
#pragma once

#include <span>

#include "core/context.h"
#include "kernels/boxes/box_math.h"
#include "models/config.h"
#include "models/image_batch.h"

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

  kernels::Box<float> to_input(float x1, float y1, float x2, float y2) const {
    return {x1 * sx, y1 * sy, (x2 - plus_one) * sx, (y2 - plus_one) * sy};
  }
  kernels::Box<float> from_input(const kernels::Box<float>& box) const {
    return {box.x1 * back_x, box.y1 * back_y, box.x2 * back_x + plus_one, box.y2 * back_y + plus_one};
  }
};

/// How the sides of a resized image are rounded: see resized_size.
enum class SizeRounding : uint8_t { torchvision, caffe2015 };

struct ResizedSize {
  int64_t h, w;
  double scale;  // that they were rounded from
};

/// The size that an image of h x w pixels (at least 1) is resized to: the scale that brings its short side to
/// `short_side`, or its long side to `long_side` if that is smaller, and both sides rounded, but at least one
/// pixel.
///
/// torchvision: rounded down, as it does to the last bit, which sometimes makes 799 of 800. Boxes follow the
/// ratio of the sizes, each axis its own.
/// caffe2015: rounded to the nearest pixel, halves to even, as is the long side before it is compared. Boxes
/// are multiplied by the scale.
ResizedSize resized_size(int64_t h, int64_t w, int64_t short_side, int64_t long_side,
                         SizeRounding rounding = SizeRounding::torchvision);

/// Of an image of this size; `scale` multiplies the configuration's short and long side.
ResizedImage resized(const ModelConfig& config, int64_t height, int64_t width, float scale = 1);

}  // namespace rcnn
