// A walk over the labels of all levels of a pyramid, for losses on the CPU. Labels are one (N, rows of all
// levels) array, logits and offsets an array a level: the walk says which stretch of labels belongs to which
// stretch of which level.
#pragma once

#include <algorithm>

#include "core/parallel.h"
#include "kernels/levels.h"
#include "kernels/loss/loss_math.h"
#include "kernels/op.h"

namespace rcnn::kernels {

/// `count` consecutive labels from `label` on belong to consecutive rows of `level` from `row` on, counted
/// over all images.
struct LabelSegment {
  int level;
  int64_t row, label, count;
};

/// Calls body(segment) for the segments that labels [begin, end) consist of.
template <class Views, class F>
void for_segments(const Views& views, int levels, int64_t begin, int64_t end, F body) {
  const int64_t total = total_rows(views, levels);
  while (begin < end) {
    const LevelRow at = level_row(views, total, begin);
    const int64_t count = std::min(end - begin, at.left);
    body(LabelSegment{at.level, at.row, begin, count});
    begin += count;
  }
}

/// Labels in a chunk of work.
inline constexpr int64_t kLabelGrain = 1 << 11;

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

/// The number of labels >= 0, for backward.
inline int64_t count_labels(const int32_t* labels, int64_t size) {
  int64_t count = 0;
  for (int64_t i = 0; i < size; ++i) count += labels[i] >= 0;
  return count;
}

}  // namespace rcnn::kernels
