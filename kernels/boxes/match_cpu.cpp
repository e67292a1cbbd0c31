#include <algorithm>
#include <bit>

#include "core/parallel.h"
#include "kernels/boxes/match_math.h"

namespace rcnn::kernels {

void match_reference(const Stream&, Workspace& workspace, const MatchArgs& a) {
  float* best_of_gt = workspace.take<float>(a.g);
  for (int64_t n = 0; n < a.n; ++n) {
    const MatchImage image(a, n);
    std::fill(best_of_gt, best_of_gt + a.g, 0.0f);
    for (int64_t row = 0; row < a.r; ++row) {
      if (!image.takes_part(row)) {
        image.matched[row] = -2;
        continue;
      }
      BestMatch best;
      for (int64_t g = 0; g < image.gt_count; ++g) {
        const float overlap = image.overlap(row, g);
        best_of_gt[g] = std::max(best_of_gt[g], overlap);
        best.offer(overlap, g);
      }
      image.matched[row] = image.gt_count == 0 ? -1 : decide(best, a);
    }
    if (!a.promote_best) continue;
    for (int64_t row = 0; row < a.r; ++row) promote(image, best_of_gt, row);
  }
}

namespace {

constexpr int64_t kBlockRows = 256;

/// Matches the rows [begin, end) of an image, at most kBlockRows, without promotion. Writes the largest
/// overlap of these rows with each ground truth to `block_best`.
void match_block(const MatchImage& image, const MatchArgs& a, int64_t begin, int64_t end, float* block_best) {
  float x1[kBlockRows], y1[kBlockRows], x2[kBlockRows], y2[kBlockRows], area[kBlockRows];
  float best[kBlockRows] = {};
  int32_t best_gt[kBlockRows] = {};
  const int64_t rows = end - begin;
  for (int64_t i = 0; i < rows; ++i) {
    const Box box = spanned(load_box(image.boxes + (begin + i) * 4), image.plus_one);
    x1[i] = box.x1, y1[i] = box.y1, x2[i] = box.x2, y2[i] = box.y2, area[i] = box_area(box);
  }
  // Rows that take no part become empty boxes, which overlap nothing.
  for (int64_t i = 0; image.size && i < rows; ++i)
    if (!image.takes_part(begin + i)) x1[i] = y1[i] = x2[i] = y2[i] = area[i] = 0;
  for (int64_t g = 0; g < image.gt_count; ++g) {
    const Box gt = spanned(load_box(image.gt + g * 4), image.plus_one);
    const float gt_area = box_area(gt);
    // Overlaps are not negative, so their bits, read as integers, are in the same order. A maximum of
    // integers is vectorised; one of floats is not.
    int32_t largest = 0;
    for (int64_t i = 0; i < rows; ++i) {
      const Box box{x1[i], y1[i], x2[i], y2[i]};
      const float overlap = iou(box, area[i], gt, gt_area);
      const bool better = overlap > best[i];
      best[i] = better ? overlap : best[i];
      best_gt[i] = better ? static_cast<int32_t>(g) : best_gt[i];
      largest = std::max(largest, std::bit_cast<int32_t>(overlap));
    }
    block_best[g] = std::bit_cast<float>(largest);
  }
  for (int64_t i = 0; i < rows; ++i)
    image.matched[begin + i] = image.gt_count == 0 ? -1 : decide({best[i], best_gt[i]}, a);
  for (int64_t i = 0; image.size && i < rows; ++i)
    if (!image.takes_part(begin + i)) image.matched[begin + i] = -2;
}

}  // namespace

void match_row_blocks(const Stream&, Workspace& workspace, const MatchArgs& a) {
  const int64_t blocks = (a.r + kBlockRows - 1) / kBlockRows;
  float* block_best = workspace.take<float>(a.n * blocks * a.g);
  float* best_of_gt = workspace.take<float>(a.n * a.g);
  std::fill(block_best, block_best + a.n * blocks * a.g, 0.0f);
  std::fill(best_of_gt, best_of_gt + a.n * a.g, 0.0f);

  parallel_for(a.n * blocks, 16, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) {
      const MatchImage image(a, block / blocks);
      const int64_t begin = block % blocks * kBlockRows, end = std::min(a.r, begin + kBlockRows);
      const int64_t valid_end = std::clamp(image.rows, begin, end);
      match_block(image, a, begin, valid_end, block_best + block * a.g);
      std::fill(image.matched + valid_end, image.matched + end, -2);
    }
  });
  if (!a.promote_best) return;

  for (int64_t block = 0; block < a.n * blocks; ++block)
    for (int64_t g = 0; g < a.g; ++g) {
      float& best = best_of_gt[block / blocks * a.g + g];
      best = std::max(best, block_best[block * a.g + g]);
    }
  parallel_for(a.n * blocks, 16, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) {
      const MatchImage image(a, block / blocks);
      const float* best = best_of_gt + block / blocks * a.g;
      const float* here = block_best + block * a.g;
      bool holds_a_best = false;
      for (int64_t g = 0; g < image.gt_count; ++g) holds_a_best |= best[g] > 0 && here[g] == best[g];
      if (!holds_a_best) continue;
      const int64_t begin = block % blocks * kBlockRows;
      const int64_t end = std::min(image.rows, begin + kBlockRows);
      for (int64_t row = begin; row < end; ++row) promote(image, best, row);
    }
  });
}

}  // namespace rcnn::kernels
