// kernels/chunks.h on a GPU: one block per chunk.
#pragma once

#include "core/cuda/cuda.h"
#include "kernels/alignment.h"
#include "kernels/chunks.h"

namespace rcnn::kernels {

inline constexpr int kChunkThreads = 256;  // of a block

/// A chunk of an entry: elements [begin, begin + size).
template <class Entry>
struct Chunk {
  Entry entry;
  int64_t begin;
  int size;
};

/// The block's chunk. Each thread looks at one entry, and one of them finds the chunk there. This takes a
/// single memory latency, whereas a search would wait for several in turn. All threads must make the call,
/// once per kernel.
template <class Entry>
__device__ Chunk<Entry> find_chunk(const Entry* entries, int64_t count) {
  RCNN_SHARED(int64_t, found, [1]);
  for (int64_t i = threadIdx.x; i < count; i += kChunkThreads) {
    const int64_t first = entries[i].first_chunk;
    if (blockIdx.x >= first && (blockIdx.x - first) * kChunk < entries[i].size) *found = i;
  }
  __syncthreads();
  Chunk<Entry> chunk{entries[*found], 0, 0};
  chunk.begin = (blockIdx.x - chunk.entry.first_chunk) * kChunk;
  const int64_t left = chunk.entry.size - chunk.begin;
  chunk.size = static_cast<int>(left < kChunk ? left : kChunk);
  return chunk;
}

}  // namespace rcnn::kernels
