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

inline constexpr int kLaneThreads = 256;  // of a block

/// A kernel whose threads each work on kWidth neighbouring values is written as a struct. Its members are
/// what the kernel needs, and its work is a template of the width, called with the thread's index:
///
///     template <int kWidth>
///     __device__ void run(unsigned index) const;
template <class Work, int kWidth>
__global__ void lanes_kernel(Work work, unsigned count) {
  const unsigned index = blockIdx.x * kLaneThreads + threadIdx.x;
  if (index < count) work.template run<kWidth>(index);
}

/// Starts it for `size` values that lie in rows of `row`: four per thread where `row` and all addresses allow
/// it, else one.
template <class Work>
void launch_lanes(const Stream& stream, int64_t size, int64_t row,
                  std::initializer_list<const void*> pointers, const Work& work) {
  const bool four = four_at_a_time(row, pointers);
  const unsigned count = lane_groups(size, four), blocks = blocks_for(count, kLaneThreads);
  if (four)
    launch<lanes_kernel<Work, 4>>(stream, blocks, kLaneThreads, 0, work, count);
  else
    launch<lanes_kernel<Work, 1>>(stream, blocks, kLaneThreads, 0, work, count);
}

/// See map_elements.
template <class F>
struct MapElements {
  const float* from;
  float* to;
  F f;
  Accumulate accumulate;

  template <int kWidth>
  __device__ void run(unsigned index) const {
    const int64_t at = int64_t{index} * kWidth;
    Lanes<kWidth> values = load_lanes<kWidth>(from + at);
    RCNN_UNROLL
    for (int k = 0; k < kWidth; ++k) values.v[k] = f(values.v[k], at + k);
    put_lanes(to + at, values, accumulate);
  }
};

/// to[i] = f(from[i], i), or added to it, for `count` elements.
template <class F>
void map_elements(const Stream& stream, int64_t count, const float* from, float* to, const F& f,
                  Accumulate accumulate = Accumulate::no) {
  launch_lanes(stream, count, count, {from, to}, MapElements<F>{from, to, f, accumulate});
}

}  // namespace rcnn::kernels
