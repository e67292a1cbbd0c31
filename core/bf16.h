// bfloat16: the upper half of a float's bits. Storage only; arithmetic is done in float.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/host_device.h"

namespace rcnn {

struct bf16 {
  uint16_t bits;
};

/// Rounds to nearest with ties to even, as the hardware does; every NaN becomes the same quiet NaN.
RCNN_HOST_DEVICE inline bf16 to_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return {0x7FFF};
  return {static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16)};
}

/// Two of them in a word, the first in the lower half.
RCNN_HOST_DEVICE inline uint32_t to_two_bf16(float first, float second) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(second), "f"(first));
  return word;
#else
  return to_bf16(first).bits | static_cast<uint32_t>(to_bf16(second).bits) << 16;
#endif
}

RCNN_HOST_DEVICE inline float to_float(bf16 value) {
  const uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
  float result;
  memcpy(&result, &bits, sizeof result);
  return result;
}

}  // namespace rcnn
