#include "kernels/block_sum.h"
#include "kernels/boxes/sample.h"
#include "kernels/boxes/sample_math.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kBins = 1024;  // bins of the first bits of the keys; the threads of choose_bins_kernel
constexpr int kBinShift = 64 - 10;
static_assert(1ll << (64 - kBinShift) == kBins);

/// A row's label, which is also the index of its kind: 1 positive, 0 negative, -1 neither.
__device__ int label_of(int32_t matched) { return matched >= 0 ? 1 : matched == -1 ? 0 : -1; }

/// The arrays that one launch leaves to the next. Arrays (N, 2) are indexed by image and label.
struct Selection {
  int* bins;  // (N, 2, kBins): number of rows whose key is in each bin
  // (N, 2): the bin that holds the last row to take; -1 if no row is taken. Keys are random, so the bins up
  // to this one hold only few rows that are not taken.
  int* last_bin;
  int* quota;      // (N, 2): rows to take
  int* collected;  // (N, 2): rows collected so far from the bins up to last_bin
  uint64_t* keys;  // (N, R): the keys of these rows, positives from the front and negatives from the back

  __device__ uint64_t& key(const SampleArgs& a, int64_t n, int label, int i) const {
    return keys[n * a.r + (label == 1 ? i : a.r - 1 - i)];
  }
};

__global__ void clear_bins_kernel(int* bins, int64_t size) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < size) bins[i] = 0;
}

/// Counts the rows of each bin and writes -1 to all labels. One thread per row of image blockIdx.y. With many
/// bins and random keys, atomics rarely collide. Bottleneck: arithmetic (the random numbers).
__global__ void count_bins_kernel(SampleArgs a, Selection s) {
  const int64_t n = blockIdx.y, row = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (row >= a.r) return;
  if (a.labels) a.labels[n * a.r + row] = -1;
  const int label = label_of(a.matched[n * a.r + row]);
  if (label < 0) return;
  const uint64_t bin = sample_key(a.seed, a.purpose, *a.step, a.image_id[n], row) >> kBinShift;
  atomicAdd(&s.bins[(n * 2 + label) * kBins + static_cast<int64_t>(bin)], 1);
}

/// Finds how many rows of each kind are taken from image blockIdx.x, and the last bin they come from. Writes
/// the count, and -1 to all rows. One thread per bin. Bottleneck: latency of memory and barriers.
__global__ void __launch_bounds__(kBins) choose_bins_kernel(SampleArgs a, Selection s) {
  const int64_t n = blockIdx.x;
  const int bin = static_cast<int>(threadIdx.x);
  const int sizes[2] = {s.bins[n * 2 * kBins + bin], s.bins[(n * 2 + 1) * kBins + bin]};
  const BlockScan scans[2] = {block_scan(sizes[0]), block_scan(sizes[1])};
  const SampleQuota take = sample_quota(scans[1].total, scans[0].total, a.batch, a.positive_fraction);
  const int quotas[2] = {static_cast<int>(take.negatives), static_cast<int>(take.positives)};
  for (int label = 0; label < 2; ++label) {
    const int quota = quotas[label], before = scans[label].before;
    if (quota > 0 ? before < quota && quota <= before + sizes[label] : bin == 0)  // one thread
      s.last_bin[n * 2 + label] = quota > 0 ? bin : -1;
    if (bin == 0) {
      s.quota[n * 2 + label] = quota;
      s.collected[n * 2 + label] = 0;
    }
  }
  if (bin == 0) a.count[n] = quotas[0] + quotas[1];
  if (a.rows)
    for (int64_t i = bin; i < a.batch; i += kBins) a.rows[n * a.batch + i] = -1;
}

/// Collects the keys of the chosen bins, in an order that varies from run to run. One thread per row of image
/// blockIdx.y. Bottleneck: arithmetic (the random numbers, which are drawn again rather than stored).
__global__ void collect_kernel(SampleArgs a, Selection s) {
  const int64_t n = blockIdx.y, row = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (row >= a.r) return;
  const int label = label_of(a.matched[n * a.r + row]);
  if (label < 0) return;
  const uint64_t key = sample_key(a.seed, a.purpose, *a.step, a.image_id[n], row);
  if (static_cast<int>(key >> kBinShift) > s.last_bin[n * 2 + label]) return;
  s.key(a, n, label, atomicAdd(&s.collected[n * 2 + label], 1)) = key;
}

/// Takes the rows with the smallest keys of label blockIdx.x in image blockIdx.y. No two keys are equal, and
/// a key's place is the number of smaller keys: for a few hundred keys this is faster than sorting and gives
/// the same result. One thread per key. Bottleneck: latency of the first-level cache.
__global__ void take_kernel(SampleArgs a, Selection s) {
  const int64_t n = blockIdx.y;
  const int label = static_cast<int>(blockIdx.x);
  const int keys = s.collected[n * 2 + label], quota = s.quota[n * 2 + label];
  const int before = label == 1 ? 0 : s.quota[n * 2 + 1];  // positives come first
  for (int i = static_cast<int>(threadIdx.x); i < keys; i += kThreads) {
    const uint64_t key = s.key(a, n, label, i);
    int place = 0;
    for (int j = 0; j < keys; ++j) place += s.key(a, n, label, j) < key;
    if (place >= quota) continue;
    const int32_t row = static_cast<int32_t>(key & 0xFFFFFFFFu);
    if (a.labels) a.labels[n * a.r + row] = label;
    if (a.rows) a.rows[n * a.batch + before + place] = row;
  }
}

}  // namespace

void sample_radix_select(const Stream& stream, Workspace& workspace, const SampleArgs& a) {
  const Selection s{.bins = workspace.take<int>(a.n * 2 * kBins),
                    .last_bin = workspace.take<int>(a.n * 2),
                    .quota = workspace.take<int>(a.n * 2),
                    .collected = workspace.take<int>(a.n * 2),
                    .keys = workspace.take<uint64_t>(a.n * a.r)};
  const unsigned images = static_cast<unsigned>(a.n);
  const dim3 rows(blocks_for(a.r, kThreads), images);
  const int64_t bins = a.n * 2 * kBins;
  launch<clear_bins_kernel>(stream, blocks_for(bins, kThreads), kThreads, 0, s.bins, bins);
  launch<count_bins_kernel>(stream, rows, kThreads, 0, a, s);
  launch<choose_bins_kernel>(stream, images, kBins, 0, a, s);
  launch<collect_kernel>(stream, rows, kThreads, 0, a, s);
  launch<take_kernel>(stream, dim3(2, images), kThreads, 0, a, s);
}

}  // namespace rcnn::kernels
