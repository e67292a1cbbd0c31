// Sums and maxima over the threads of a warp or block, on the GPU. The order of a sum depends on the block's
// size alone, so it has the same bits in every run. Blocks have a multiple of 32 threads, at most 1024, and
// all threads of the warp or block must make the call.
#pragma once

#include "core/cuda/cuda.h"

namespace rcnn::kernels {

inline constexpr unsigned kAllLanes = 0xFFFFFFFFu;

/// The sum of a warp's values, for every lane.
template <class T>
__device__ inline T warp_sum(T value) {
  for (int apart = 16; apart > 0; apart /= 2) value += __shfl_xor_sync(kAllLanes, value, apart);
  return value;
}

/// The largest of a warp's values, none of them NaN, for every lane.
template <class T>
__device__ inline T warp_max(T value) {
  for (int apart = 16; apart > 0; apart /= 2) {
    const T other = __shfl_xor_sync(kAllLanes, value, apart);
    value = value > other ? value : other;
  }
  return value;
}

/// The sum of the block's values, for every thread.
template <class T>
__device__ inline T block_sum(T value) {
  RCNN_SHARED(T, warps, [32]);
  value = warp_sum(value);
  __syncthreads();  // all threads have read the sums of an earlier call
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
  __syncthreads();
  T sum = warps[0];
  for (unsigned warp = 1; warp < blockDim.x / 32; ++warp) sum += warps[warp];
  return sum;
}

struct BlockScan {
  int before;  // the sum of the values of the threads before this one
  int total;   // the sum of the block's values
};

/// Sums of the block's values in the order of the threads.
__device__ inline BlockScan block_scan(int value) {
  RCNN_SHARED(int, warps, [32]);
  const unsigned lane = threadIdx.x % 32, own_warp = threadIdx.x / 32;
  int sum = value;  // of the lanes up to this one
  for (unsigned apart = 1; apart < 32; apart *= 2) {
    const int below = __shfl_up_sync(kAllLanes, sum, apart);
    if (lane >= apart) sum += below;
  }
  __syncthreads();  // all threads have read the sums of an earlier call
  if (lane == 31) warps[own_warp] = sum;
  __syncthreads();
  BlockScan scan{sum - value, 0};
  for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) {
    if (warp < own_warp) scan.before += warps[warp];
    scan.total += warps[warp];
  }
  return scan;
}

}  // namespace rcnn::kernels
