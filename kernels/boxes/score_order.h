// The order (score descending, row ascending) as the order of one integer, for sorting and radix selection.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/host_device.h"

namespace rcnn::kernels {

/// A number that falls as the score rises; equal for equal scores, -0 and 0 included. The score must not be
/// NaN.
RCNN_HOST_DEVICE inline uint32_t descending_bits(float score) {
  const float positive_zero = score + 0.0f;  // -0 becomes 0, nothing else changes
  uint32_t bits;
  std::memcpy(&bits, &positive_zero, sizeof(bits));
  // The bits of floats with the same sign are in the order of their magnitudes. A larger magnitude is a
  // higher score if the sign is positive, and a lower one if it is negative.
  return bits >> 31 ? bits : ~bits & 0x7FFFFFFFu;
}

/// A key that sorts before another one if its score is higher, or if the scores are equal and its row is
/// lower. Requires 0 <= row < 2^32.
RCNN_HOST_DEVICE inline uint64_t score_key(float score, int64_t row) {
  return static_cast<uint64_t>(descending_bits(score)) << 32 | static_cast<uint64_t>(row);
}

/// The row of a key.
RCNN_HOST_DEVICE inline int32_t row_of_key(uint64_t key) { return static_cast<int32_t>(key & 0xFFFFFFFFu); }

}  // namespace rcnn::kernels
