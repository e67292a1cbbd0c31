// Turns the bytes of photographs into the input of the network: bilinear resizing, normalisation, and
// padding to one common size.
//
//     y[n, i, j, k] = (resize(image n)[i, j, k] * range - mean[k]) / deviation[k]  inside the resized image
//                   = 0                                                            in the padding
//
// Resizing follows torchvision: output pixel i reads the image at (i + 1/2) h / rh - 1/2, limited to the
// first and last pixel, and interpolates between 2 x 2 pixels even if the image shrinks (no antialiasing).
// torchvision normalises before it resizes; both are linear, so only the rounding differs, and the order used
// here can read bytes.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

struct PreprocessImage {
  const uint8_t* pixels = nullptr;  // (h, w, 3), RGB
  int64_t h = 0, w = 0;             // at least 1, unless rh and rw are 0
  // Size after resizing, at most the height and width of the batch; 0 marks an empty slot.
  int64_t rh = 0, rw = 0;
};

struct PreprocessArgs {
  int64_t n = 0;
  const PreprocessImage* images = nullptr;       // (N); on the op's device, as are the pixels
  int64_t height = 0, width = 0;                 // of the output
  float mean[3] = {}, deviation[3] = {1, 1, 1};  // of the channels of y, in their order
  float range = 1;                               // factor of the bytes: 1 / 255 or 1
  bool bgr = false;                              // channel 0 of y is blue, not red
  float* y = nullptr;                            // (N, height, width, 3)
};

Run<PreprocessArgs> preprocess_thread_per_pixel, preprocess_reference;
/// Mixes the two rows of bytes first, over their whole width, then pairs of pixels of the mixed row, whose
/// positions and weights are computed once per image. The result equals the reference's bit for bit.
Run<PreprocessArgs> preprocess_mixed_rows;

// clang-format off
inline constexpr Technique<PreprocessArgs> preprocess_techniques[] = {
    {"thread_per_pixel", on_cuda, preprocess_thread_per_pixel},
    {"mixed_rows", on_cpu, preprocess_mixed_rows},
    {"reference", on_cpu, preprocess_reference},
};
// clang-format on
inline constexpr Op preprocess{"preprocess", "preprocess", column<0>(preprocess_techniques)};

}  // namespace rcnn::kernels
