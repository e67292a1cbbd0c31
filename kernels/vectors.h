// Reading and writing global and shared memory 4 floats at a time, in kernels that have a scalar path too.
#pragma once

#include "core/bf16.h"
#include "core/cuda/cuda.h"
#include "kernels/alignment.h"

namespace rcnn::kernels {

/// Reads V values, 4 (an aligned float4) or 1.
template <int V>
__device__ inline void read_values(const float* from, float (&values)[V]) {
  static_assert(V == 1 || V == 4);
  if constexpr (V == 4) {
    const float4 four = *reinterpret_cast<const float4*>(from);
    values[0] = four.x, values[1] = four.y, values[2] = four.z, values[3] = four.w;
  } else {
    values[0] = *from;
  }
}

/// Writes V values, 4 (an aligned float4) or 1.
template <int V>
__device__ inline void write_values(float* to, const float (&values)[V]) {
  static_assert(V == 1 || V == 4);
  if constexpr (V == 4)
    *reinterpret_cast<float4*>(to) = make_float4(values[0], values[1], values[2], values[3]);
  else
    *to = values[0];
}

/// Writes V values as bf16, 4 (aligned to 8 bytes) or 1.
template <int V>
__device__ inline void write_rounded(bf16* to, const float (&values)[V]) {
  static_assert(V == 1 || V == 4);
  if constexpr (V == 4)
    *reinterpret_cast<uint2*>(to) =
        make_uint2(to_two_bf16(values[0], values[1]), to_two_bf16(values[2], values[3]));
  else
    *to = to_bf16(values[0]);
}

}  // namespace rcnn::kernels
