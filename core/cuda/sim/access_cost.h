// What one request of a warp costs, from the addresses of its lanes. Only for core/cuda/sim/access_count.cpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace rcnn::cuda_sim {

/// The lanes of a request, each with `bytes` at its address.
struct Request {
  uintptr_t at[32];
  unsigned lane[32];  // ascending
  int count = 0;
  int bytes = 0;
};

/// A run of bytes that lie side by side.
struct Span {
  uintptr_t begin, end;
};

/// The different bytes of a request as spans in ascending order; returns their number.
inline int spans_of(const Request& r, Span (&spans)[32]) {
  uintptr_t sorted[32];
  std::copy_n(r.at, r.count, sorted);
  for (int i = 1; i < r.count; ++i) {  // mostly in order already
    const uintptr_t value = sorted[i];
    int j = i;
    for (; j > 0 && sorted[j - 1] > value; --j) sorted[j] = sorted[j - 1];
    sorted[j] = value;
  }
  int count = 0;
  for (int i = 0; i < r.count; ++i) {
    const uintptr_t end = sorted[i] + static_cast<uintptr_t>(r.bytes);
    if (count > 0 && sorted[i] <= spans[count - 1].end)
      spans[count - 1].end = std::max(spans[count - 1].end, end);
    else
      spans[count++] = {sorted[i], end};
  }
  return count;
}

inline constexpr uintptr_t kSector = 32;

inline uint64_t sectors_of(const Span* spans, int count) {
  uint64_t sectors = 0;
  uintptr_t next = 0;  // the first sector that is not counted yet
  for (int i = 0; i < count; ++i) {
    const uintptr_t first = std::max(next, spans[i].begin / kSector), end = (spans[i].end - 1) / kSector + 1;
    if (end > first) sectors += end - first;
    next = std::max(next, end);
  }
  return sectors;
}

/// How often the banks of shared memory are asked, one word of 4 bytes each time; lanes that read the same
/// word are served together. `min_turns` is the number without conflicts. 8 bytes of each lane are served in
/// two halves of the warp, and 16 in four quarters.
inline void bank_turns(const Request& r, uint64_t& turns, uint64_t& min_turns) {
  const unsigned group_lanes = r.bytes <= 4 ? 32 : r.bytes <= 8 ? 16 : 8;
  const int words = std::max(1, r.bytes / 4);
  for (int i = 0; i < r.count;) {
    const unsigned group = r.lane[i] / group_lanes;
    uintptr_t seen[32][32];  // the words of each bank
    int of_bank[32] = {}, most = 0;
    for (; i < r.count && r.lane[i] / group_lanes == group; ++i)
      for (int w = 0; w < words; ++w) {
        const uintptr_t word = r.at[i] / 4 + static_cast<uintptr_t>(w), bank = word % 32;
        if (std::find(seen[bank], seen[bank] + of_bank[bank], word) != seen[bank] + of_bank[bank]) continue;
        seen[bank][of_bank[bank]++] = word;
        most = std::max(most, of_bank[bank]);
      }
    turns += static_cast<uint64_t>(most);
    ++min_turns;
  }
}

/// An atomic changes one word after another: the most lanes at one word of global memory, or in one bank of
/// shared memory.
inline uint64_t atomic_turns(const Request& r, bool shared) {
  int most = 0;
  for (int i = 0; i < r.count; ++i) {
    int same = 0;
    for (int j = 0; j < r.count; ++j)
      same += shared ? r.at[i] / 4 % 32 == r.at[j] / 4 % 32 : r.at[i] == r.at[j];
    most = std::max(most, same);
  }
  return static_cast<uint64_t>(most);
}

/// The bytes from each lane's address to that of the next lane, if they are the same for all; otherwise 0.
inline int64_t stride_of(const Request& r) {
  if (r.count < 2) return 0;
  const auto step = static_cast<int64_t>(r.at[1] - r.at[0]);
  for (int i = 1; i < r.count; ++i)
    if (static_cast<int64_t>(r.at[i] - r.at[i - 1]) != step || r.lane[i] != r.lane[i - 1] + 1) return 0;
  return step;
}

}  // namespace rcnn::cuda_sim
