// Assigns a ground-truth box, or background, to every anchor or proposal (Ren et al., "Faster R-CNN", section
// 3.1.2).
//
// A row is matched with the ground truth that it overlaps most (the one with the lowest index, if several are
// equal). It is background if that IoU is below `low`, and ignored if it is between `low` and `high`. With
// `promote_best`, the rows that overlap some ground truth as much as any row does (ties included) are
// promoted: they keep the ground truth that they themselves overlap most, however small that overlap is, so
// that an object that no row overlaps by `high` can still train a row. A ground truth that no row overlaps
// promotes no row.
//
// py-faster-rcnn leaves out the anchors that reach across the border of their image: with `image_size` they
// are ignored, and do not count as the best row of a ground truth.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

struct MatchArgs {
  int64_t n = 0, r = 0;                // images, rows per image
  const float* boxes = nullptr;        // (N, R, 4), or (R, 4) shared by the images
  int64_t box_stride = 0;              // floats from image to image: 4 R, or 0 when they share the boxes
  const int32_t* row_count = nullptr;  // (N): rows that are not padding; null: all
  int64_t g = 0;
  const float* gt = nullptr;  // (N, G, 4)
  // (N): ground truths that are not padding; if 0, all rows that take part are background.
  const int32_t* gt_count = nullptr;
  float high = 0.5f, low = 0.5f;
  bool promote_best = false;
  // (N, R): index of the ground truth; -1 background; -2 ignored, or a padding row.
  int32_t* matched = nullptr;
  float plus_one = 0;  // 1: corners are whole pixels (see spanned)
  // (N, 2): height, width. Rows that are not inside (see is_inside) take no part. Null: all take part.
  const float* image_size = nullptr;
};

/// Two plain loops over rows and ground truths.
Run<MatchArgs> match_reference;
/// Handles rows in blocks, with one array per coordinate. Only blocks that hold a best row of some ground
/// truth are visited a second time.
Run<MatchArgs> match_row_blocks;
/// CUDA: one thread per row and one block per 256 rows, with the same shortcut.
Run<MatchArgs> match_thread_per_row;

// clang-format off
inline constexpr Technique<MatchArgs> match_techniques[] = {
    {"thread_per_row", on_cuda, match_thread_per_row},
    {"row_blocks", on_cpu, match_row_blocks},
    {"reference", on_cpu, match_reference},
};
// clang-format on
inline constexpr Op match{"match", "match", column<0>(match_techniques)};

}  // namespace rcnn::kernels
