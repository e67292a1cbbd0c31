// Work on many tensors at once, in chunks: the small ones cost no start of threads each, and a large one is
// shared by many.
//
// A list is of structs with `size` and `first_chunk`, whose chunks follow one another.
#pragma once

#include <algorithm>

#include "core/parallel.h"

namespace rcnn::kernels {

/// Elements in a chunk; the last one of a tensor may be shorter.
inline constexpr int64_t kChunk = 1 << 13;

/// Numbers the chunks of all tensors, one after the other, and gives how many there are.
template <class List>
int64_t number_chunks(List&& tensors) {
  int64_t chunks = 0;
  for (auto& tensor : tensors) {
    tensor.first_chunk = chunks;
    chunks += (tensor.size + kChunk - 1) / kChunk;
  }
  return chunks;
}

/// Calls body(chunk, tensor, begin, end) for the chunks of all tensors, in one parallel pass.
template <class T, class F>
void for_chunks(const T* tensors, int64_t count, int64_t chunks, F body) {
  parallel_chunks(chunks, [&](int64_t chunk) {
    const T* after = std::upper_bound(tensors, tensors + count, chunk,
                                      [](int64_t c, const T& t) { return c < t.first_chunk; });
    const T& tensor = *(after - 1);
    const int64_t begin = (chunk - tensor.first_chunk) * kChunk;
    body(chunk, tensor, begin, std::min(tensor.size, begin + kChunk));
  });
}

}  // namespace rcnn::kernels
