// The chunk that a block of a kernel works on; see kernels/chunks.h. For .cu files.
#pragma once

#include "core/cuda.h"
#include "kernels/chunks.h"

namespace rcnn::kernels {

/// A chunk of a tensor: elements [begin, begin + size).
template <class T>
struct Chunk {
  T tensor;
  int64_t begin;
  int size;
};

/// The block's chunk. The threads look at a tensor each and one of them finds the chunk in it: one access to
/// memory, where a search would wait for one after the other. All threads make the call, once a kernel.
template <class T>
__device__ Chunk<T> find_chunk(const T* tensors, int64_t count) {
  RCNN_SHARED(int64_t, found, [1]);
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) {
    const int64_t first = tensors[i].first_chunk;
    if (blockIdx.x >= first && (blockIdx.x - first) * kChunk < tensors[i].size) *found = i;
  }
  __syncthreads();
  Chunk<T> chunk{tensors[*found], 0, 0};
  chunk.begin = (blockIdx.x - chunk.tensor.first_chunk) * kChunk;
  const int64_t left = chunk.tensor.size - chunk.begin;
  chunk.size = static_cast<int>(left < kChunk ? left : kChunk);
  return chunk;
}

inline __device__ bool is_aligned(const float* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

}  // namespace rcnn::kernels
