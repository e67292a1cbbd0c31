// Turns photographs into the network's input: resizes, normalises and pads them into one batch.
#pragma once

#include <span>

#include "core/box.h"
#include "core/context.h"
#include "models/config.h"
#include "models/image_batch.h"

namespace rcnn {

/// The bytes of a photograph, RGB, row by row.
struct RawImage {
  const uint8_t* pixels;
  int64_t height, width;
  float scale = 1;  // multiplies the configuration's short and long side
};

/// Resizes each image by the configuration's short and long side, normalises and pads to a common size.
ImageBatch make_image_batch(Context& ctx, const ModelConfig& config, std::span<const RawImage> images);

/// The size of an image after resizing, and the conversion of boxes between image and network input.
struct ResizedImage {
  int64_t height, width;
  float sy, sx;          // multiply boxes of the image; `size-rounding` decides how they are computed
  float back_y, back_x;  // multiply boxes of the input
  float plus_one;        // 1: boxes in the input follow the convention of whole pixels

  Box to_input(const Box& box) const {
    return {box.x1 * sx, box.y1 * sy, (box.x2 - plus_one) * sx, (box.y2 - plus_one) * sy};
  }
  Box from_input(const Box& box) const {
    return {box.x1 * back_x, box.y1 * back_y, box.x2 * back_x + plus_one, box.y2 * back_y + plus_one};
  }
};

/// How the sides of a resized image are rounded: see resized_size.
enum class SizeRounding : uint8_t { torchvision, caffe2015 };

struct ResizedSize {
  int64_t h, w;
  double scale;  // before the sides were rounded
};

/// The size to which an image of h x w pixels (at least 1) is resized. The scale brings its short side to
/// `short_side`, or its long side to `long_side` if that scale is smaller; both sides are rounded, and are
/// at least one pixel.
///
/// torchvision: the sides are rounded down, with torchvision's arithmetic to the last bit, which sometimes
/// gives 799 instead of 800. Boxes are scaled by the ratio of the sizes, separately on each axis.
///
/// caffe2015: the sides are rounded to the nearest pixel, halves to even, and so is the long side before it
/// is compared with `long_side`. Boxes are multiplied by the scale.
ResizedSize resized_size(int64_t h, int64_t w, int64_t short_side, int64_t long_side,
                         SizeRounding rounding = SizeRounding::torchvision);

/// How an image of this size is resized; `scale` multiplies the configuration's short and long side.
ResizedImage resized(const ModelConfig& config, int64_t height, int64_t width, float scale = 1);

}  // namespace rcnn
