// Neighbouring values that a CUDA thread loads, works on and stores together.
//
// A memory-bound kernel moves 16 bytes a thread where sizes and addresses allow it, else one value. Written
// as a template of the width, it stands once for both.
#pragma once

#include <cstdint>

#include "core/cuda/cuda.h"
#include "kernels/alignment.h"
#include "kernels/op.h"

namespace rcnn::kernels {

/// `kWidth` values side by side. A copy of it is one memory instruction, so its address must be a multiple of
/// its size.
template <int kWidth, class T = float>
struct alignas(kWidth * sizeof(T)) Lanes {
  T v[kWidth];
};

template <int kWidth, class T>
__device__ inline Lanes<kWidth, T> load_lanes(const T* from) {
  return *reinterpret_cast<const Lanes<kWidth, T>*>(from);
}

template <int kWidth, class T>
__device__ inline void store_lanes(T* to, const Lanes<kWidth, T>& values) {
  *reinterpret_cast<Lanes<kWidth, T>*>(to) = values;
}

/// Writes, or adds, as put does.
template <int kWidth>
__device__ inline void put_lanes(float* to, Lanes<kWidth> values, Accumulate accumulate) {
  if (accumulate == Accumulate::yes) {
    const Lanes<kWidth> before = load_lanes<kWidth>(to);
    RCNN_UNROLL
    for (int k = 0; k < kWidth; ++k) values.v[k] = before.v[k] + values.v[k];
  }
  store_lanes(to, values);
}

/// A pixel (n, i, j) and a channel c of a (N, H, W, C) array.
struct Pixel {
  int n, i, j, c;
};

/// Where the kWidth values with this index lie, counted in the order of memory.
template <int kWidth>
__device__ inline Pixel pixel_of(unsigned index, int64_t h, int64_t w, int64_t c) {
  const unsigned lanes = static_cast<unsigned>(c / kWidth), columns = static_cast<unsigned>(w);
  const unsigned pixel = index / lanes, row = pixel / columns, rows = static_cast<unsigned>(h);
  return {static_cast<int>(row / rows), static_cast<int>(row % rows), static_cast<int>(pixel % columns),
          static_cast<int>(index % lanes) * kWidth};
}

/// How many threads `size` values need, four each or one. Kernels divide their index in 32 bits.
inline unsigned lane_groups(int64_t size, bool four) {
  const int64_t groups = four ? size / 4 : size;
  check(groups < int64_t{1} << 32, "{} values are more than a kernel can count", size);
  return static_cast<unsigned>(groups);
}

}  // namespace rcnn::kernels
