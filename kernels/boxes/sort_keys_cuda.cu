// Chunks of a list are sorted in shared memory by a bitonic network. Then every key finds its place in the
// whole list: the number of keys before it in its own chunk, plus the number of keys before it in each other
// chunk, which is found by bisection.
//
// This merges all chunks at once, in one launch, whatever their number. The work is quadratic in that number,
// but the lists here have at most a hundred chunks.
#include "kernels/boxes/sort_keys.h"

#include <algorithm>
#include <bit>

#include "kernels/boxes/sort_in_block.h"

namespace rcnn::kernels {
namespace {

constexpr int kChunk = 1024;
constexpr int kMergeThreads = 256;
constexpr uint64_t kAfterAll = ~uint64_t{0};

/// Sorts chunks of `width` keys, a power of two that is at most kChunk; a list has `chunks` of them. One
/// block per chunk, one thread per pair of keys. Shared memory: 8 KiB. Bottleneck: barriers, about
/// (log2 width)^2 / 2 of them.
__global__ void sort_chunks_kernel(uint64_t* keys, int length, int width, int chunks) {
  RCNN_SHARED(uint64_t, chunk, [kChunk]);
  const int list = static_cast<int>(blockIdx.x) / chunks,
            begin = static_cast<int>(blockIdx.x) % chunks * width;
  const int count = length - begin < width ? length - begin : width, threads = static_cast<int>(blockDim.x);
  uint64_t* own = keys + static_cast<int64_t>(list) * length + begin;
  for (int i = static_cast<int>(threadIdx.x); i < width; i += threads)
    chunk[i] = i < count ? own[i] : kAfterAll;
  __syncthreads();

  sort_in_block(chunk, width);
  for (int i = static_cast<int>(threadIdx.x); i < count; i += threads) own[i] = chunk[i];
}

/// How many of `count` ascending keys come before `key`: the smaller and, with `equal_too`, the equal ones.
__device__ int count_before(const uint64_t* keys, int count, uint64_t key, bool equal_too) {
  int low = 0, high = count;
  while (low < high) {
    const int middle = (low + high) / 2;
    const bool before = keys[middle] < key || (equal_too && keys[middle] == key);
    if (before)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/// Puts each key of the sorted chunks in its place in the sorted list. One thread per key; the chunks pass
/// through shared memory (8 KiB), one after another. Of equal keys, those of earlier chunks come first, so
/// that no two keys get the same place. Bottleneck: latency of shared memory.
__global__ void merge_chunks_kernel(const uint64_t* keys, int length, int blocks, uint64_t* sorted) {
  RCNN_SHARED(uint64_t, chunk, [kChunk]);
  const int64_t first = static_cast<int64_t>(blockIdx.x) / blocks * length;  // start of the list
  const int at = static_cast<int>(blockIdx.x) % blocks * kMergeThreads + static_cast<int>(threadIdx.x);
  const uint64_t key = at < length ? keys[first + at] : kAfterAll;
  const int own_begin = at / kChunk * kChunk;
  int place = at - own_begin;
  for (int begin = 0; begin < length; begin += kChunk) {
    if (begin == own_begin) continue;  // the whole block: all its threads belong to one chunk
    const int count = length - begin < kChunk ? length - begin : kChunk;
    __syncthreads();  // all threads have read the previous chunk
    for (int i = static_cast<int>(threadIdx.x); i < count; i += kMergeThreads)
      chunk[i] = keys[first + begin + i];
    __syncthreads();
    if (at < length) place += count_before(chunk, count, key, begin < own_begin);
  }
  if (at < length) sorted[first + place] = key;
}
static_assert(kChunk % kMergeThreads == 0);

}  // namespace

uint64_t* sort_keys(const Stream& stream, Workspace& workspace, int64_t lists, int64_t length,
                    uint64_t* keys) {
  const int size = static_cast<int>(length);
  const int width = std::min(kChunk, static_cast<int>(std::bit_ceil(static_cast<unsigned>(size))));
  const unsigned chunks = blocks_for(length, width);
  if (size > 1)
    launch<sort_chunks_kernel>(stream, static_cast<unsigned>(lists) * chunks, std::max(32, width / 2), 0,
                               keys, size, width, static_cast<int>(chunks));
  if (chunks <= 1) return keys;
  uint64_t* sorted = workspace.take<uint64_t>(lists * length);
  const unsigned blocks = blocks_for(length, kMergeThreads);
  launch<merge_chunks_kernel>(stream, static_cast<unsigned>(lists) * blocks, kMergeThreads, 0, keys, size,
                              static_cast<int>(blocks), sorted);
  return sorted;
}

}  // namespace rcnn::kernels
