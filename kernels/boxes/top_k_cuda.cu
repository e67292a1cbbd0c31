// Radix selection: the 64-bit keys of (score, row) are distinguished digit by digit, from the highest digit
// on. Each round makes a histogram of the next digit over the keys that share the digits found so far, with
// many blocks per level. The k-th best key has the digit at which the running sum of the histogram reaches
// the number of keys still to be chosen. Rounds stop early when the sum reaches that number exactly, so only
// ties between scores need the digits of the row. At the end, one comparison tells for each row whether it is
// chosen, and the chosen keys are sorted.
#include <algorithm>
#include <bit>

#include "kernels/block_sum.h"
#include "kernels/boxes/score_order.h"
#include "kernels/boxes/sort_keys.h"
#include "kernels/boxes/top_k.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kRowsOfBlock = 4096;
constexpr int kDigitBits = 11;
constexpr int kDigits = 1 << kDigitBits;
constexpr uint64_t kNoKey = ~uint64_t{0};

/// What is known about the k-th best key of a list. A list is one level of one image.
struct Choice {
  uint64_t prefix;  // its high digits; when done, a bound: the keys up to it are chosen
  int wanted;       // keys to choose among those with this prefix; all smaller keys are chosen
  int done;         // 1: no more rounds
};

/// The part of a list that a block handles. The blocks of a list are next to one another in the grid.
struct Rows {
  int list, begin, end;  // no rows if end <= begin
  const float* scores;   // of the list
};

__device__ Rows rows_of_block(const TopKArgs& a, int blocks_of_list) {
  const int list = static_cast<int>(blockIdx.x) / blocks_of_list;
  const int begin = static_cast<int>(blockIdx.x) % blocks_of_list * kRowsOfBlock;
  const int64_t image = list / a.levels;
  const int level = list % a.levels;
  const int rows = static_cast<int>(a.scores[level].rows), end = begin + kRowsOfBlock;
  return {list, begin, end < rows ? end : rows, a.scores[level].data + image * rows};
}

/// Calls body(key) for the keys of the block's rows that take part.
template <class Body>
__device__ void for_keys(const TopKArgs& a, const Rows& rows, Body body) {
  for (int row = rows.begin + static_cast<int>(threadIdx.x); row < rows.end; row += kThreads) {
    const float score = rows.scores[row];
    if (score > a.min_score) body(score_key(score, row));
  }
}

/// Sets all counters to 0 and opens all choices. One thread per counter.
__global__ void begin_kernel(int lists, int rounds, int k, int* histograms, Choice* choices, int* chosen) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at < static_cast<int64_t>(lists) * rounds * kDigits) histograms[at] = 0;
  if (at < lists) {
    choices[at] = {0, k, 0};
    chosen[at] = 0;
  }
}

/// The digit that a round counts.
struct Round {
  int shift;  // of its lowest bit
  int bits;
};

/// Narrows a choice by the histogram of a round. All threads of a block call it, and all get the result.
__device__ Choice narrowed(const Choice& before, const Round& round, const int* histogram) {
  RCNN_SHARED(Choice, result, [1]);
  constexpr int kEach = kDigits / kThreads;
  if (before.done) return before;  // all threads
  const int first = static_cast<int>(threadIdx.x) * kEach;
  int counts[kEach], sum = 0;
  RCNN_UNROLL
  for (int i = 0; i < kEach; ++i) sum += counts[i] = histogram[first + i];
  const BlockScan scan = block_scan(sum);
  const uint64_t low_bits = (uint64_t{1} << round.shift) - 1;
  if (scan.total <= before.wanted) {
    // All keys are chosen, which is possible only in the first round.
    if (threadIdx.x == 0) *result = {kNoKey - 1, 0, 1};
  } else if (scan.before < before.wanted && scan.before + sum >= before.wanted) {
    int smaller = scan.before, i = 0;  // keys with a smaller digit than first + i
    while (smaller + counts[i] < before.wanted) smaller += counts[i++];
    const uint64_t prefix = before.prefix | static_cast<uint64_t>(first + i) << round.shift;
    const bool done = smaller + counts[i] == before.wanted || round.shift == 0;
    *result = {done ? prefix | low_bits : prefix, before.wanted - smaller, done};
  }
  __syncthreads();
  return *result;
}

/// Counts the digits of this round, over the keys that share the digits known so far. Every block first
/// narrows the choice by the last round's histogram, unless that is null, and the first block of a list
/// stores the result in `narrowed_choices` for the next launch. Shared memory: one counter per digit, 8 KiB.
/// Bottleneck: memory, and atomics if many scores share a digit.
__global__ void count_digits_kernel(TopKArgs a, int blocks_of_list, Round last, const int* last_histograms,
                                    const Choice* choices, Choice* narrowed_choices, Round round,
                                    int* histograms) {
  RCNN_SHARED(int, counters, [kDigits]);
  const Rows rows = rows_of_block(a, blocks_of_list);
  Choice choice = choices[rows.list];
  if (last_histograms) {
    choice = narrowed(choice, last, last_histograms + static_cast<int64_t>(rows.list) * kDigits);
    if (rows.begin == 0 && threadIdx.x == 0) narrowed_choices[rows.list] = choice;
  }
  if (choice.done || rows.end <= rows.begin) return;  // the whole block
  for (int i = static_cast<int>(threadIdx.x); i < kDigits; i += kThreads) counters[i] = 0;
  __syncthreads();
  const int known = round.shift + round.bits;  // the bits from this one on are known; 64: none
  const uint64_t mask = (uint64_t{1} << round.bits) - 1;
  for_keys(a, rows, [&](uint64_t key) {
    if (known == 64 || key >> known == choice.prefix >> known)
      atomicAdd(&counters[key >> round.shift & mask], 1);
  });
  __syncthreads();
  int* histogram = histograms + static_cast<int64_t>(rows.list) * kDigits;
  for (int i = static_cast<int>(threadIdx.x); i < kDigits; i += kThreads)
    if (counters[i] != 0) atomicAdd(&histogram[i], counters[i]);
}

/// Collects the keys of the chosen rows, at most k per list, in no particular order. Bottleneck: memory.
__global__ void collect_kernel(TopKArgs a, int blocks_of_list, Round last, const int* last_histograms,
                               const Choice* choices, int* chosen, uint64_t* keys) {
  const Rows rows = rows_of_block(a, blocks_of_list);
  const Choice choice =
      narrowed(choices[rows.list], last, last_histograms + static_cast<int64_t>(rows.list) * kDigits);
  for_keys(a, rows, [&](uint64_t key) {
    if (key <= choice.prefix) keys[rows.list * a.k + atomicAdd(&chosen[rows.list], 1)] = key;
  });
}

/// Pads the lists after the chosen keys. One thread per key.
__global__ void pad_kernel(uint32_t k, int64_t size, const int* chosen, uint64_t* keys) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= size) return;
  const uint32_t list = static_cast<uint32_t>(at) / k;  // there are fewer than 2^31 keys
  if (at - static_cast<int64_t>(list) * k >= chosen[list]) keys[at] = kNoKey;
}

/// Writes the rows of the sorted keys. One thread per key.
__global__ void rows_kernel(int64_t size, const uint64_t* keys, int32_t* index) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at < size) index[at] = keys[at] == kNoKey ? -1 : row_of_key(keys[at]);
}

/// The rounds that distinguish all keys of lists of at most `max_rows` rows. Bits of the row that are 0 in
/// every key are left out.
struct Rounds {
  int count = 0;
  Round round[6];

  explicit Rounds(int64_t max_rows) {
    add(64, 32);
    add(static_cast<int>(std::bit_width(static_cast<uint64_t>(max_rows))), 0);
  }
  void add(int from, int to) {
    for (int bits; from > to; from -= bits) {
      bits = std::min(from - to, kDigitBits);
      round[count++] = {from - bits, bits};
    }
  }
};

}  // namespace

void top_k_radix_select(const Stream& stream, Workspace& workspace, const TopKArgs& a) {
  const int64_t lists = a.n * a.levels, size = lists * a.k;
  if (size == 0) return;
  int64_t max_rows = 1;
  for (int l = 0; l < a.levels; ++l) max_rows = std::max(max_rows, a.scores[l].rows);
  const Rounds rounds(max_rows);
  const int64_t counters = lists * kDigits;  // per round
  int* histograms = workspace.take<int>(rounds.count * counters);
  Choice* choices = workspace.take<Choice>(rounds.count * lists);  // before each round
  int* chosen = workspace.take<int>(lists);
  uint64_t* keys = workspace.take<uint64_t>(size);
  const int blocks_of_list = static_cast<int>(blocks_for(max_rows, kRowsOfBlock));
  const unsigned blocks = static_cast<unsigned>(lists) * static_cast<unsigned>(blocks_of_list);

  launch<begin_kernel>(stream, blocks_for(rounds.count * counters, kThreads), kThreads, 0,
                       static_cast<int>(lists), rounds.count, static_cast<int>(a.k), histograms, choices,
                       chosen);
  for (int i = 0; i < rounds.count; ++i) {
    const int last = std::max(i - 1, 0);
    launch<count_digits_kernel>(stream, blocks, kThreads, 0, a, blocks_of_list, rounds.round[last],
                                i == 0 ? nullptr : histograms + last * counters, choices + last * lists,
                                choices + i * lists, rounds.round[i], histograms + i * counters);
  }
  const int last = rounds.count - 1;
  launch<collect_kernel>(stream, blocks, kThreads, 0, a, blocks_of_list, rounds.round[last],
                         histograms + last * counters, choices + last * lists, chosen, keys);
  const unsigned key_blocks = blocks_for(size, kThreads);
  launch<pad_kernel>(stream, key_blocks, kThreads, 0, static_cast<uint32_t>(a.k), size, chosen, keys);
  const uint64_t* sorted = sort_keys(stream, workspace, lists, a.k, keys);
  launch<rows_kernel>(stream, key_blocks, kThreads, 0, size, sorted, a.index);
}

}  // namespace rcnn::kernels
