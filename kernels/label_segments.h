// A walk over the labels of all levels of a pyramid, for losses on the CPU. Labels are one (N, rows of all
// levels) array, logits and offsets an array a level: the walk says which stretch of labels belongs to which
// stretch of which level.
#pragma once

#include <algorithm>

#include "core/parallel.h"
#include "kernels/op.h"

namespace rcnn::kernels {

/// `count` consecutive labels from `label` on belong to consecutive rows of `level` from `row` on, counted
/// over all images.
struct LabelSegment {
  int level;
  int64_t row, label, count;
};

/// Rows of an image over all levels.
template <class Views>
int64_t total_rows(const Views& views, int levels) {
  int64_t total = 0;
  for (int level = 0; level < levels; ++level) total += views[level].rows;
  return total;
}

/// Calls body(segment) for the segments that labels [begin, end) consist of.
template <class Views, class F>
void for_segments(const Views& views, int levels, int64_t begin, int64_t end, F body) {
  const int64_t total = total_rows(views, levels);
  while (begin < end) {
    const int64_t image = begin / total;
    int64_t row = begin % total;
    int level = 0;
    while (row >= views[level].rows) row -= views[level++].rows;
    const int64_t count = std::min(end - begin, views[level].rows - row);
    body(LabelSegment{level, image * views[level].rows + row, begin, count});
    begin += count;
  }
}

/// Labels in a chunk of work.
inline constexpr int64_t kLabelGrain = 1 << 14;

/// What chunks of labels add up to.
struct LossShare {
  double sum = 0;     // of the loss's terms
  int64_t count = 0;  // labels >= 0
};

/// Adds up share(begin, end) over chunks of [0, size), in parallel, in chunk order.
template <class F>
LossShare sum_shares(Workspace& workspace, int64_t size, F share) {
  const int64_t chunks = (size + kLabelGrain - 1) / kLabelGrain;
  LossShare* shares = workspace.take<LossShare>(chunks);
  parallel_chunks(chunks, [&](int64_t chunk) {
    shares[chunk] = share(chunk * kLabelGrain, std::min(size, (chunk + 1) * kLabelGrain));
  });
  LossShare all;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    all.sum += shares[chunk].sum;
    all.count += shares[chunk].count;
  }
  return all;
}

/// The mean's divisor: max(1, number of labels >= 0).
inline double divisor(int64_t count) { return static_cast<double>(std::max<int64_t>(1, count)); }

/// The number of labels >= 0, for backward.
inline int64_t count_labels(const int32_t* labels, int64_t size) {
  int64_t count = 0;
  for (int64_t i = 0; i < size; ++i) count += labels[i] >= 0;
  return count;
}

}  // namespace rcnn::kernels
