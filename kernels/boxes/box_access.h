// Access to boxes in the GPU's memory, 16 bytes at a time: one access per box instead of four.
#pragma once

#include <initializer_list>

#include "core/cuda/cuda.h"
#include "kernels/alignment.h"
#include "kernels/boxes/box_math.h"

namespace rcnn::kernels {

__device__ inline Box to_box(const float4& v) { return {v.x, v.y, v.z, v.w}; }

/// load_box and store_box for addresses that are multiples of 16.
__device__ inline float4 load_aligned(const float* p) { return *reinterpret_cast<const float4*>(p); }
__device__ inline Box load_aligned_box(const float* p) { return to_box(load_aligned(p)); }
__device__ inline void store_aligned_box(float* p, const Box& box) {
  *reinterpret_cast<float4*>(p) = make_float4(box.x1, box.y1, box.x2, box.y2);
}

/// Throws Error unless the arrays (rows of 4 floats) begin at multiples of 16 bytes. A tensor does, and so
/// does a slice of it, because each row takes 16 bytes.
inline void check_box_alignment(const char* op, std::initializer_list<const float*> arrays) {
  for (const float* array : arrays)
    check(aligned_to_16(array), "{}: an array of boxes is not aligned to 16 bytes", op);
}

}  // namespace rcnn::kernels
