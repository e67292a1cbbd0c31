#include <algorithm>

#include "core/parallel.h"
#include "kernels/boxes/score_order.h"
#include "kernels/boxes/top_k.h"

namespace rcnn::kernels {

void top_k_reference(const Stream&, Workspace& workspace, const TopKArgs& a) {
  int64_t max_rows = 0;
  for (int l = 0; l < a.levels; ++l) max_rows = std::max(max_rows, a.scores[l].rows);
  int32_t* order = workspace.take<int32_t>(max_rows);
  for (int64_t n = 0; n < a.n; ++n)
    for (int l = 0; l < a.levels; ++l) {
      const float* scores = a.scores[l].data + n * a.scores[l].rows;
      int64_t count = 0;
      for (int64_t row = 0; row < a.scores[l].rows; ++row)
        if (scores[row] > a.min_score) order[count++] = static_cast<int32_t>(row);
      std::sort(order, order + count, [&](int32_t i, int32_t j) {
        return scores[i] > scores[j] || (scores[i] == scores[j] && i < j);
      });
      int32_t* index = a.index + (n * a.levels + l) * a.k;
      for (int64_t j = 0; j < a.k; ++j) index[j] = j < count ? order[j] : -1;
    }
}

namespace {

/// One bin per sign, exponent and first 3 bits of the fraction. The bins fit on the stack and in the
/// first-level cache.
constexpr int kBinBits = 12;
constexpr int kBinShift = 32 - kBinBits;

/// Writes to `keys` a set of keys that contains the k best ones, in no particular order. Returns their
/// number, which is at least k unless fewer rows take part. `keys` has room for every row.
int64_t collect_candidates(const float* scores, int64_t rows, int64_t k, float min_score, uint64_t* keys) {
  uint32_t bins[1 << kBinBits] = {};
  for (int64_t row = 0; row < rows; ++row)
    if (scores[row] > min_score) ++bins[descending_bits(scores[row]) >> kBinShift];

  // The best scores are in the first bins: find the bin that holds the k-th best.
  uint32_t last = 0;
  for (int64_t seen = bins[0]; seen < k && last + 1 < std::size(bins);) seen += bins[++last];

  int64_t count = 0;
  for (int64_t row = 0; row < rows; ++row)
    if (scores[row] > min_score && descending_bits(scores[row]) >> kBinShift <= last)
      keys[count++] = score_key(scores[row], row);
  return count;
}

}  // namespace

void top_k_histogram_select(const Stream&, Workspace& workspace, const TopKArgs& a) {
  uint64_t* level_keys[kMaxLevels];
  for (int l = 0; l < a.levels; ++l) level_keys[l] = workspace.take<uint64_t>(a.n * a.scores[l].rows);

  parallel_chunks(a.n * a.levels, [&](int64_t chunk) {
    const int64_t n = chunk / a.levels, l = chunk % a.levels, rows = a.scores[l].rows;
    uint64_t* keys = level_keys[l] + n * rows;
    int64_t count = collect_candidates(a.scores[l].data + n * rows, rows, a.k, a.min_score, keys);
    if (count > a.k) {
      std::nth_element(keys, keys + a.k, keys + count);
      count = a.k;
    }
    std::sort(keys, keys + count);
    int32_t* index = a.index + chunk * a.k;
    for (int64_t j = 0; j < a.k; ++j) index[j] = j < count ? row_of_key(keys[j]) : -1;
  });
}

}  // namespace rcnn::kernels
