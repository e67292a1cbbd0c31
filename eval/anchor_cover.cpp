#include "eval/anchor_cover.h"

#include <algorithm>
#include <cmath>

#include "layers/boxes.h"
#include "models/transform.h"

namespace rcnn {
namespace {

/// The index, along one axis, of the anchor whose centre is nearest. Among anchors of the same shape it has
/// the best overlap: the length shared along an axis never grows with the distance between the centres, and
/// the overlap grows with the product of the two shared lengths.
int64_t nearest(float centre, int64_t step, int64_t cells) {
  return std::clamp<int64_t>(std::llround(centre / static_cast<float>(step)), 0, cells - 1);
}

}  // namespace

std::vector<InputBox> input_boxes(const Sample& sample, const ModelConfig& config) {
  const ResizedImage size = resized(config, sample.height, sample.width);
  std::vector<InputBox> boxes;
  for (const Object& object : sample.objects) {
    const Box& box = object.box;
    if (!is_ignored(object)) boxes.push_back({size.to_input(box), object.label});
  }
  return boxes;
}

std::vector<float> box_sizes(const Dataset& dataset, const ModelConfig& config) {
  std::vector<float> sizes;
  for (const Sample& sample : dataset.samples)
    for (const InputBox& input : input_boxes(sample, config))
      sizes.push_back(std::sqrt(kernels::box_area(input.box)));
  std::sort(sizes.begin(), sizes.end());
  return sizes;
}

AnchorCover::AnchorCover(const ModelConfig& config, const std::vector<int64_t>& strides)
    : divisible_(config.size_divisible) {
  check_input(config.anchor_sizes.size() == strides.size(),
              "anchor-sizes: expected sizes for {} levels, found {}", strides.size(),
              config.anchor_sizes.size());
  for (size_t l = 0; l < strides.size(); ++l) {
    const std::vector<float>& ratios = anchor_ratios(config);
    const std::vector<float> cells = cell_anchors(config.anchor_sizes[l], ratios);
    Level level{strides[l], {}};
    for (size_t i = 0; i < cells.size(); i += 4) level.cell.push_back(kernels::load_box(&cells[i]));
    levels_.push_back(std::move(level));
  }
}

float AnchorCover::best_overlap(const Box& box, int64_t height, int64_t width) const {
  const auto rounded_up = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
  const int64_t padded_h = rounded_up(height, divisible_) * divisible_;
  const int64_t padded_w = rounded_up(width, divisible_) * divisible_;
  float best = 0;
  for (const Level& level : levels_) {
    // As in models/rpn.cpp, cells are a whole number of pixels apart, which follows from the padded size.
    const int64_t rows = rounded_up(padded_h, level.stride), columns = rounded_up(padded_w, level.stride);
    const int64_t step_y = padded_h / rows, step_x = padded_w / columns;
    const int64_t y = nearest((box.y1 + box.y2) / 2, step_y, rows);
    const int64_t x = nearest((box.x1 + box.x2) / 2, step_x, columns);
    for (const auto& cell : level.cell)
      best = std::max(best, kernels::iou(box, kernels::anchor_at(cell, y, x, static_cast<float>(step_y),
                                                                 static_cast<float>(step_x))));
  }
  return best;
}

std::vector<float> anchor_overlaps(const Dataset& dataset, const ModelConfig& config,
                                   const std::vector<int64_t>& strides) {
  const AnchorCover cover(config, strides);
  std::vector<float> overlaps;
  for (const Sample& sample : dataset.samples) {
    const ResizedImage size = resized(config, sample.height, sample.width);
    for (const InputBox& input : input_boxes(sample, config))
      overlaps.push_back(cover.best_overlap(input.box, size.height, size.width));
  }
  std::sort(overlaps.begin(), overlaps.end());
  return overlaps;
}

double poorly_covered(const std::vector<float>& ascending_overlaps) {
  if (ascending_overlaps.empty()) return 0;
  const auto first = std::lower_bound(ascending_overlaps.begin(), ascending_overlaps.end(), 0.5f) -
                     ascending_overlaps.begin();
  return static_cast<double>(first) / static_cast<double>(ascending_overlaps.size());
}

}  // namespace rcnn
