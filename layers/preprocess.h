#pragma once

#include <array>
#include <span>

#include "core/context.h"

namespace rcnn {

/// The bytes of a photograph on the host, and the size to which it is resized.
struct SourceImage {
  const uint8_t* pixels = nullptr;                // (height, width, 3), RGB
  int64_t height = 0, width = 0;                  // at least 1
  int64_t resized_height = 0, resized_width = 0;  // at least 1, at most the batch's
};

struct PreprocessOptions {
  std::array<float, 3> mean = {0, 0, 0}, deviation = {1, 1, 1};  // per channel of the result, in its order
  float range = 1;   // the value of a byte of 255 before the mean is subtracted
  bool bgr = false;  // channel 0 of the result is blue, not red
};

/// Resizes (bilinear), normalises and pads images into one batch (N, height, width, 3) f32 on the context's
/// device; the padding is 0. Throws Error if an image is resized to more than the batch's size. See
/// kernels/spatial/preprocess.h.
Tensor preprocess(Context& ctx, std::span<const SourceImage> images, int64_t height, int64_t width,
                  const PreprocessOptions& options);

}  // namespace rcnn
