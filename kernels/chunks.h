// Many tensors in one pass, cut into chunks.
//
// A model has many small parameters and a few large ones. Ops over all of them work on chunks, so that many
// small parameters share a launch, and many threads share a large parameter.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/parallel.h"

namespace rcnn::kernels {

/// Elements in a chunk; the last of a tensor may have fewer.
inline constexpr int64_t kChunk = 1 << 13;

/// Numbers the chunks of all tensors in order, and returns how many there are. An entry of the list
/// has `size`, its elements, and `first_chunk`, the chunks of the entries before.
template <class Entries>
int64_t number_chunks(Entries&& entries) {
  int64_t chunks = 0;
  for (auto& entry : entries) {
    entry.first_chunk = chunks;
    chunks += (entry.size + kChunk - 1) / kChunk;
  }
  return chunks;
}

/// On the CPU: calls body(chunk, entry, begin, end) for every chunk, in one parallel pass.
template <class Entry, class F>
void for_chunks(const Entry* entries, int64_t count, int64_t chunks, F body) {
  parallel_chunks(chunks, [&](int64_t chunk) {
    const Entry* after = std::upper_bound(entries, entries + count, chunk,
                                          [](int64_t c, const Entry& e) { return c < e.first_chunk; });
    const Entry& entry = *(after - 1);
    const int64_t begin = (chunk - entry.first_chunk) * kChunk;
    body(chunk, entry, begin, std::min(entry.size, begin + kChunk));
  });
}

}  // namespace rcnn::kernels
