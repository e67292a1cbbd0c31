// TF32: a float with 10 bits of mantissa, which tensor cores multiply.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/host_device.h"

namespace rcnn::cuda {

/// The bits of a float rounded to TF32: 10 bits of mantissa, nearest, halves away from 0 (cvt.rna.tf32.f32).
/// A NaN stays one.
RCNN_HOST_DEVICE inline uint32_t to_tf32(float value) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint32_t rounded;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(value));
  return rounded;
#else
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7F800000u) == 0x7F800000u)
    return (bits & 0x007FFFFFu) != 0 ? 0x7FFFFFFFu : bits;  // a NaN must not lose all its mantissa
  return (bits + 0x1000u) & 0xFFFFE000u;
#endif
}

}  // namespace rcnn::cuda
