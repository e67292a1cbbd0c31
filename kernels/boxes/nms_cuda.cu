// NMS on the GPU: the boxes are sorted, compared and selected without waiting for the host.
//
// The rows of an image are sorted by (score descending, row ascending), and then by (group, place in that
// order), so that each group is one segment. The sorted boxes are cut into tiles of 64. Two tiles are
// compared only if they share a segment: box j of one tile gets a word whose bit i says that it overlaps box
// i of the other tile. Then one block per tile goes through the segments that begin in that tile, one tile
// after another. The boxes of a tile are suppressed by boxes kept in earlier tiles (an OR over the words of
// those boxes), or by one another (see keep_in_tile).
//
// The words of all pairs of M boxes would take M^2 / 8 bytes, which is a gigabyte for 90,000 detections. So
// the sorted order is cut into bands of 80 tiles, and words are computed only within a band. The boxes of a
// band are compared directly with the boxes that were kept in earlier bands. That also avoids comparisons
// with suppressed boxes, and a box needs at most 80 words, which are 640 bytes.
#include <algorithm>

#include "kernels/block_sum.h"
#include "kernels/boxes/box_access.h"
#include "kernels/boxes/nms.h"
#include "kernels/boxes/score_order.h"
#include "kernels/boxes/sort_keys.h"

namespace rcnn::kernels {
namespace {

using Word = unsigned long long;  // one bit per box of a tile

constexpr int kTile = 64;
constexpr int kBandTiles = 80;  // 1000 proposals of each of 5 levels are one band
constexpr int kThreads = 256;
constexpr int kTiles = kThreads / kTile;  // tiles that a block compares with another one at a time
constexpr int kCompareSlices = 4;         // blocks that share a tile's comparisons within its band ...
constexpr int kSuppressSlices = 8;        // ... and those with earlier bands
constexpr int kScanThreads = 512;
constexpr int kScanWords = kBandTiles * kTile / kScanThreads;  // words per thread for one tile
constexpr int kEmitThreads = 1024;
constexpr uint64_t kNoKey = ~uint64_t{0};

/// The rows in the order of groups. Each image has `tiles` tiles; the places after its last box that takes
/// part have group -1.
struct Sorted {
  int tiles;
  int stride;        // tiles per band, or `tiles` if there is only one band
  float4* boxes;     // (N, tiles * 64), spanned
  int* group;        // (N, tiles * 64)
  int* rank;         // (N, tiles * 64): place in the order of scores
  Word* lost;        // (N, tiles): bits of the boxes that boxes of earlier bands suppress
  Word* kept;        // (N, tiles): bits of the boxes that are kept
  Word* kept_ranks;  // (N, tiles): bits of the places in the order of scores that are kept
  // (N, tiles, stride, 64): [t][u][j] has the bits of the boxes of tile t that box j of tile u of the same
  // band overlaps.
  Word* overlaps;

  __device__ int64_t tile(int image, int t) const { return static_cast<int64_t>(image) * tiles + t; }
  /// The words of tile t with tile u of its band.
  __device__ Word* words(int image, int t, int u) const {
    return overlaps + (tile(image, t) * stride + u % kBandTiles) * kTile;
  }
};

/// Keys for the order of scores. One thread per row of image blockIdx.y.
__global__ void score_keys_kernel(NmsArgs a, uint64_t* keys) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (row >= a.m) return;
  const int64_t at = blockIdx.y * a.m + row;
  const float score = a.scores[at];
  const bool takes_part = a.group[at] >= 0 && !std::isnan(score);
  keys[at] = takes_part ? score_key(score, row) : kNoKey;
}

/// Keys for the order of groups: (group, place in the order of scores). One thread per place.
__global__ void group_keys_kernel(NmsArgs a, const uint64_t* by_score, uint64_t* keys) {
  const int64_t rank = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (rank >= a.m) return;
  const int64_t at = blockIdx.y * a.m + rank;
  const uint64_t key = by_score[at];
  if (key == kNoKey) {
    keys[at] = kNoKey;
  } else {
    const int32_t group = a.group[blockIdx.y * a.m + row_of_key(key)];
    keys[at] = static_cast<uint64_t>(group) << 32 | static_cast<uint64_t>(rank);
  }
}

/// Copies the boxes into the order of groups and clears the bits. One thread per place, including the places
/// after the last box.
__global__ void gather_kernel(NmsArgs a, const uint64_t* by_score, const uint64_t* by_group, Sorted s) {
  const int64_t place = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (place >= static_cast<int64_t>(s.tiles) * kTile) return;
  const int64_t image = blockIdx.y, at = image * s.tiles * kTile + place;
  if (place < s.tiles) {
    const int64_t tile = image * s.tiles + place;
    s.lost[tile] = s.kept[tile] = s.kept_ranks[tile] = 0;
  }
  const uint64_t key = place < a.m ? by_group[image * a.m + place] : kNoKey;
  s.group[at] = -1;
  if (key == kNoKey) return;
  const int64_t rank = static_cast<int64_t>(key & 0xFFFFFFFFu);
  const int64_t row = row_of_key(by_score[image * a.m + rank]);
  s.group[at] = static_cast<int>(key >> 32);
  s.rank[at] = static_cast<int>(rank);
  store_aligned_box(&s.boxes[at].x, spanned(load_aligned_box(a.boxes + (image * a.m + row) * 4), a.plus_one));
}

/// Whether a segment reaches from tile u to the later tile t. This is so exactly when the two tiles have a
/// common group.
__device__ bool have_common_group(const Sorted& s, int image, int u, int t) {
  const int group = s.group[s.tile(image, t) * kTile];
  return group >= 0 && s.group[s.tile(image, u) * kTile + kTile - 1] == group;
}

/// A tile of boxes in shared memory.
struct BoxTile {
  float4 box[kTile];
  float area[kTile];
  int group[kTile];

  /// Copies the group of place `i` and, if there is a box, the box and its area.
  __device__ void load(const Sorted& s, int64_t first, int i) {
    group[i] = s.group[first + i];
    if (group[i] < 0) return;
    box[i] = s.boxes[first + i];
    area[i] = box_area(to_box(box[i]));
  }
  /// Whether box `i` belongs to `other_group` and overlaps `other` by more than the threshold.
  __device__ bool overlaps(int i, int other_group, const Box& other, float other_area,
                           float threshold) const {
    return group[i] == other_group && iou(to_box(box[i]), area[i], other, other_area) > threshold;
  }
};

/// Computes the words of tile t = blockIdx.x with itself and with the earlier tiles of its band. One thread
/// per box of a tile u, four tiles u at a time; kCompareSlices blocks share the tiles u. The boxes of t are
/// in shared memory. Bottleneck: arithmetic.
__global__ void compare_kernel(Sorted s, float threshold) {
  RCNN_SHARED(BoxTile, others, [1]);
  const int t = static_cast<int>(blockIdx.x), image = static_cast<int>(blockIdx.z);
  const int thread = static_cast<int>(threadIdx.x), own = thread % kTile;
  if (thread < kTile) others->load(s, s.tile(image, t) * kTile, own);
  __syncthreads();
  const int nearest = t - static_cast<int>(blockIdx.y) * kTiles - thread / kTile;
  for (int u = nearest; u >= t / kBandTiles * kBandTiles; u -= kCompareSlices * kTiles) {
    // The loop goes back from the nearest tile; the first one without a common group is outside the segment.
    if (u < t && !have_common_group(s, image, u, t)) break;
    const int64_t at = s.tile(image, u) * kTile + own;
    const int group = s.group[at];
    Word word = 0;
    if (group >= 0) {
      const Box box = to_box(s.boxes[at]);
      const float area = box_area(box);
      for (int i = 0; i < kTile; ++i)
        if (others->overlaps(i, group, box, area, threshold)) word |= Word{1} << i;
      if (u == t) word &= ~(Word{1} << own);
    }
    s.words(image, t, u)[own] = word;
  }
}

/// Finds the boxes of a band that boxes kept in earlier bands suppress. Four threads per box of tile t of the
/// band. The earlier tiles pass through shared memory, four at a time, one for each of the four threads;
/// kSuppressSlices blocks share these tiles. Bottleneck: arithmetic.
__global__ void suppress_kernel(Sorted s, int first_tile, float threshold) {
  RCNN_SHARED(BoxTile, others, [kTiles]);
  const int t = first_tile + static_cast<int>(blockIdx.x), image = static_cast<int>(blockIdx.z);
  const int thread = static_cast<int>(threadIdx.x), own = thread % kTile;
  BoxTile& tile = others[thread / kTile];
  const int64_t at = s.tile(image, t) * kTile + own;
  const int group = s.group[at];
  const Box box = group >= 0 ? to_box(s.boxes[at]) : Box{0, 0, 0, 0};
  const float area = box_area(box);
  bool lost = false;
  for (int nearest = first_tile - 1 - static_cast<int>(blockIdx.y) * kTiles; nearest >= 0;
       nearest -= kSuppressSlices * kTiles) {
    // The loop goes back from the nearest tile; the first one without a common group is outside the segment.
    if (!have_common_group(s, image, nearest, t)) break;  // the whole block
    __syncthreads();                                      // all threads have read the previous tiles
    const int u = nearest - thread / kTile;
    const bool common = u >= 0 && have_common_group(s, image, u, t);
    if (common) tile.load(s, s.tile(image, u) * kTile, own);
    __syncthreads();
    for (Word kept = common ? s.kept[s.tile(image, u)] : 0; kept != 0; kept &= kept - 1) {
      const int j = __ffsll(static_cast<long long>(kept)) - 1;
      lost |= tile.overlaps(j, group, box, area, threshold);
    }
  }
  const unsigned bits = __ballot_sync(kAllLanes, lost);
  if (own % 32 == 0 && bits != 0) atomicOr(&s.lost[s.tile(image, t)], static_cast<Word>(bits) << own);
}

/// The OR of a warp's words, returned to every lane.
__device__ Word warp_or(Word word) {
  for (int apart = 16; apart > 0; apart /= 2) word |= __shfl_xor_sync(kAllLanes, word, apart);
  return word;
}

/// Which of the boxes `alive` of a tile stay: a box stays unless it overlaps an earlier one that stays. `low`
/// and `high` are the words of boxes lane and lane + 32 with their own tile. The first set is all of `alive`;
/// each round computes the next set, those boxes of `alive` that no earlier box of the current set overlaps.
/// Every round settles at least one more box, the first that is not yet settled, and when a round changes
/// nothing, all boxes are settled. A chain of n boxes, each of which overlaps the next, takes n rounds. One
/// whole warp calls this function, and every lane gets the result.
__device__ Word keep_in_tile(Word alive, Word low, Word high) {
  const unsigned lane = threadIdx.x % 32;
  // Overlap is symmetric, so a box's word also holds the boxes that overlap it.
  const Word earlier_low = low & ((Word{1} << lane) - 1),
             earlier_high = high & ((Word{1} << (lane + 32)) - 1);
  for (Word kept = alive;;) {
    const Word stay_low = __ballot_sync(kAllLanes, (earlier_low & kept) == 0);
    const Word stay_high = __ballot_sync(kAllLanes, (earlier_high & kept) == 0);
    const Word next = alive & (stay_low | stay_high << 32);
    if (next == kept) return kept;
    kept = next;
  }
}

/// What the scan loads for a tile t. None of it depends on which boxes of this band are kept.
struct ScanTile {
  Word with_earlier[kScanWords];  // this thread's words of t with the tiles from `start` on
  Word low, high;                 // the words of boxes lane and lane + 32 with t itself
  Word lost;
  int group_low, group_high;  // groups of the same boxes

  __device__ void load(const Sorted& s, int image, int start, int t) {
    const int own = static_cast<int>(threadIdx.x), lane = own % 32;
    RCNN_UNROLL
    for (int i = 0; i < kScanWords; ++i) {
      const int at = own + i * kScanThreads;
      with_earlier[i] = at < (t - start) * kTile ? s.words(image, t, start + at / kTile)[at % kTile] : 0;
    }
    low = s.words(image, t, t)[lane];
    high = s.words(image, t, t)[lane + 32];
    lost = s.lost[s.tile(image, t)];
    group_low = s.group[s.tile(image, t) * kTile + lane];
    group_high = s.group[s.tile(image, t) * kTile + lane + 32];
  }
};

/// Marks the kept boxes of a tile. One whole warp calls this function.
__device__ void record(const Sorted& s, int image, int t, Word kept) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if (lane == 0) atomicOr(&s.kept[s.tile(image, t)], kept);
  for (int i = lane; i < kTile; i += 32)
    if (kept >> i & 1) {
      const int rank = s.rank[s.tile(image, t) * kTile + i];
      atomicOr(&s.kept_ranks[s.tile(image, rank / kTile)], Word{1} << rank % kTile);
    }
}

/// Decides which boxes of a band are kept. One block per tile of the band (blockIdx.x), for the segments that
/// begin in that tile; the first tile of a band also takes the segment that continues from the band before.
/// The block settles the boxes of these segments in this tile together, and then follows the last segment
/// into further tiles. While the first warp settles a tile, the loads for the next one are under way. Shared
/// memory: one word per tile, its kept boxes, and one per warp. Bottleneck: latency, one load and two
/// barriers per tile of the longest segment.
__global__ void __launch_bounds__(kScanThreads) scan_kernel(Sorted s, int first_tile) {
  RCNN_SHARED(Word, kept, [kBandTiles]);
  RCNN_SHARED(Word, lost_of_warp, [kScanThreads / 32]);
  const int start = first_tile + static_cast<int>(blockIdx.x), image = static_cast<int>(blockIdx.y);
  const int band_end = first_tile + kBandTiles < s.tiles ? first_tile + kBandTiles : s.tiles;
  const int own = static_cast<int>(threadIdx.x), warp = own / 32;
  const int64_t begin = s.tile(image, start) * kTile;
  // The segment that continues from the tile before belongs to another block.
  const int coming = start > first_tile ? s.group[begin - 1] : -1, going = s.group[begin + kTile - 1];
  if (s.group[begin] < 0 || (going >= 0 && going == coming)) return;  // the whole block has nothing to do
  // The last segment of the first tile continues at the beginning of the `more` tiles after it.
  const int next = start + 1 + own;
  const int more =
      __syncthreads_count(going >= 0 && next < band_end && s.group[s.tile(image, next) * kTile] == going);

  ScanTile tile;
  tile.load(s, image, start, start);
  for (int t = start; t <= start + more; ++t) {
    const ScanTile current = tile;
    if (t < start + more) tile.load(s, image, start, t + 1);
    Word lost = 0;
    RCNN_UNROLL
    for (int i = 0; i < kScanWords; ++i) {
      const int at = own + i * kScanThreads;
      if (at < (t - start) * kTile && (kept[at / kTile] >> at % kTile & 1) != 0)
        lost |= current.with_earlier[i];
    }
    lost = warp_or(lost);
    if (own % 32 == 0) lost_of_warp[warp] = lost;
    __syncthreads();
    if (warp == 0) {
      lost = warp_or(own < kScanThreads / 32 ? lost_of_warp[own] : 0) | current.lost;
      const auto is_mine = [&](int group) {
        return group >= 0 && (t == start ? group != coming : group == going);
      };
      const Word mine_low = __ballot_sync(kAllLanes, is_mine(current.group_low));
      const Word mine_high = __ballot_sync(kAllLanes, is_mine(current.group_high));
      const Word staying = keep_in_tile((mine_low | mine_high << 32) & ~lost, current.low, current.high);
      if (own == 0) kept[t - start] = staying;
      record(s, image, t, staying);
    }
    __syncthreads();
  }
}
static_assert(kBandTiles * kTile % kScanThreads == 0 && kBandTiles < kScanThreads);

/// Writes the kept rows in the order of scores. One block per image; first one thread per word of 64 places,
/// then one thread per place. Shared memory: 12 KiB. Bottleneck: latency.
__global__ void __launch_bounds__(kEmitThreads) emit_kernel(NmsArgs a, const uint64_t* by_score, Sorted s) {
  RCNN_SHARED(Word, words, [kEmitThreads]);
  RCNN_SHARED(int, kept_before, [kEmitThreads]);
  const int64_t image = blockIdx.x;
  const int own = static_cast<int>(threadIdx.x);
  int32_t* keep = a.keep + image * a.capacity;
  int64_t kept = 0;  // in the words before; the same in every thread
  for (int first = 0; first < s.tiles && kept < a.capacity; first += kEmitThreads) {
    const int count = s.tiles - first < kEmitThreads ? s.tiles - first : kEmitThreads;
    const Word own_word = own < count ? s.kept_ranks[s.tile(static_cast<int>(image), first + own)] : 0;
    // After the barriers in block_scan, no thread still reads the previous words.
    const BlockScan scan = block_scan(__popcll(own_word));
    words[own] = own_word;
    kept_before[own] = scan.before;
    __syncthreads();
    for (int i = own; i < count * kTile; i += kEmitThreads) {
      const Word word = words[i / kTile], bit = Word{1} << i % kTile;
      const int64_t to = kept + kept_before[i / kTile] + __popcll(word & (bit - 1));
      if ((word & bit) != 0 && to < a.capacity)
        keep[to] = row_of_key(by_score[image * a.m + static_cast<int64_t>(first) * kTile + i]);
    }
    kept += scan.total;
  }
  kept = kept < a.capacity ? kept : a.capacity;
  for (int64_t to = kept + own; to < a.capacity; to += kEmitThreads) keep[to] = -1;
  if (own == 0) a.count[image] = static_cast<int32_t>(kept);
}

Sorted take_sorted(Workspace& workspace, const NmsArgs& a) {
  Sorted s{};
  s.tiles = static_cast<int>(blocks_for(a.m, kTile));
  const int64_t tiles = a.n * s.tiles;
  s.boxes = workspace.take<float4>(tiles * kTile);
  s.group = workspace.take<int>(tiles * kTile);
  s.rank = workspace.take<int>(tiles * kTile);
  s.lost = workspace.take<Word>(tiles);
  s.kept = workspace.take<Word>(tiles);
  s.kept_ranks = workspace.take<Word>(tiles);
  s.stride = std::min(s.tiles, kBandTiles);
  s.overlaps = workspace.take<Word>(tiles * s.stride * kTile);
  return s;
}

}  // namespace

void nms_banded_bitmask(const Stream& stream, Workspace& workspace, const NmsArgs& a) {
  check_box_alignment("nms", {a.boxes});
  const unsigned images = static_cast<unsigned>(a.n);
  const Sorted s = take_sorted(workspace, a);
  uint64_t* keys = workspace.take<uint64_t>(a.n * a.m);
  uint64_t* group_keys = workspace.take<uint64_t>(a.n * a.m);
  const dim3 row_grid(blocks_for(a.m, kThreads), images);
  launch<score_keys_kernel>(stream, row_grid, kThreads, 0, a, keys);
  const uint64_t* by_score = sort_keys(stream, workspace, a.n, a.m, keys);
  launch<group_keys_kernel>(stream, row_grid, kThreads, 0, a, by_score, group_keys);
  const uint64_t* by_group = sort_keys(stream, workspace, a.n, a.m, group_keys);
  launch<gather_kernel>(stream, dim3(blocks_for(int64_t{s.tiles} * kTile, kThreads), images), kThreads, 0, a,
                        by_score, by_group, s);

  launch<compare_kernel>(stream, dim3(static_cast<unsigned>(s.tiles), kCompareSlices, images), kThreads, 0, s,
                         a.threshold);
  for (int first = 0; first < s.tiles; first += kBandTiles) {
    const unsigned tiles = static_cast<unsigned>(std::min(kBandTiles, s.tiles - first));
    if (first > 0)
      launch<suppress_kernel>(stream, dim3(tiles, kSuppressSlices, images), kThreads, 0, s, first,
                              a.threshold);
    launch<scan_kernel>(stream, dim3(tiles, images), kScanThreads, 0, s, first);
  }
  launch<emit_kernel>(stream, images, kEmitThreads, 0, a, by_score, s);
}

}  // namespace rcnn::kernels
