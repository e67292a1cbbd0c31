// From the bytes of photographs to the input of the network: bilinear resizing, normalisation, and padding to
// one common size.
//
//     y[n, i, j, k] = (resize(image n)[i, j, k] * range - mean[k]) / deviation[k]     inside the resized
//     image
//                   = 0                                                               in the padding
//
// Resizing is torchvision's: output pixel i reads the image at (i + 1/2) h / rh - 1/2, never before pixel 0
// or after the last; two by two pixels are mixed also where the image shrinks (no antialiasing). torchvision
// normalises first and resizes then; both are linear, so only the rounding differs, and this order takes
// bytes.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

struct PreprocessImage {
  const uint8_t* pixels;  // (h, w, 3), RGB
  int64_t h, w;           // at least 1, unless rh and rw are 0
  int64_t rh, rw;         // the size it is resized to, at most the batch's height and width; 0: an empty slot
};

struct PreprocessArgs {
  int64_t n;
  const PreprocessImage* images;  // (N); on the op's device, as are the pixels
  int64_t height, width;          // of the batch
  float mean[3], deviation[3];    // of the channels of y, in their order
  float range;                    // value of a byte's unit: 1 / 255 or 1
  bool bgr;                       // channel 0 of y is blue, not red
  float* y;                       // (N, height, width, 3)
};

void preprocess_thread_per_pixel(const Stream&, Workspace&, const PreprocessArgs& a);
void preprocess_reference(const Stream&, Workspace&, const PreprocessArgs& a);
/// Mixes the two rows of bytes first, over their whole width, then pairs of pixels of the mixed row, whose
/// positions and weights are worked out once an image. Bit for bit the reference.
void preprocess_mixed_rows(const Stream&, Workspace&, const PreprocessArgs& a);

// clang-format off
inline constexpr Variant<PreprocessArgs> preprocess_variants[] = {
    OnCuda{"thread_per_pixel", preprocess_thread_per_pixel},
    {DeviceType::cpu, "mixed_rows", preprocess_mixed_rows},
    {DeviceType::cpu, "reference", preprocess_reference},
};
inline constexpr Op<PreprocessArgs> preprocess{"preprocess", "preprocess", preprocess_variants};
// clang-format on

}  // namespace rcnn::kernels
