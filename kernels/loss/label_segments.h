// Matches labels to the rows of the levels of a feature pyramid, for losses on the CPU. The labels are one
// array (N, rows of all levels), whereas logits and deltas are one array per level: the functions here say
// which run of labels belongs to which rows of which level.
#pragma once

#include <algorithm>

#include "core/parallel.h"
#include "kernels/levels.h"
#include "kernels/loss/loss_math.h"
#include "kernels/op.h"

namespace rcnn::kernels {

/// `count` consecutive labels, starting at `label`, belong to as many consecutive rows of `level`, starting
/// at `row` (counted over all images).
struct LabelSegment {
  int level;
  int64_t row, label, count;
};

/// Splits the labels [begin, end) into segments and calls body(segment) for each.
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

/// Labels in one chunk of work.
inline constexpr int64_t kLabelGrain = 1 << 11;

/// Computes share(begin, end) for chunks of [0, size) in parallel, then adds the shares in chunk order.
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

/// The number of labels >= 0.
inline int64_t count_labels(const int32_t* labels, int64_t size) {
  int64_t count = 0;
  for (int64_t i = 0; i < size; ++i) count += labels[i] >= 0;
  return count;
}

}  // namespace rcnn::kernels
