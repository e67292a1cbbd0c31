// Random boxes and scores for the case tables of the ops on boxes.
#pragma once

#include "kernels/cases.h"

namespace rcnn::kernels {

/// Boxes in and around a square image of `side` pixels; `shape` ends in 4. With Fill::small_integers the
/// corners lie on a grid of an eighth of the side, so that some boxes coincide and some overlaps are equal. A
/// few boxes are invalid: empty, reversed, or with a NaN or an infinity.
inline Tensor random_boxes(Filler& fill, std::vector<Tensor>& keep, const Shape& shape, float side) {
  const Tensor boxes = fill.uniform<float>(keep, shape, 0, 1);
  const std::span<float> values = boxes.mutable_values<float>();
  const bool on_grid = fill.fill() == Fill::small_integers;
  for (size_t i = 0; i + 3 < values.size(); i += 4) {
    float* box = &values[i];
    for (int axis = 0; axis < 2; ++axis) {
      const float length = 0.02f + 0.48f * box[axis + 2] * box[axis + 2];
      const float low = box[axis] * 1.1f - 0.05f - length / 2, high = low + length;
      box[axis] = on_grid ? std::round(8 * low) / 8 * side : low * side;
      box[axis + 2] = on_grid ? std::round(8 * high) / 8 * side : high * side;
    }
    const size_t row = i / 4;
    if (row % 61 == 13) box[2] = box[0];
    if (row % 67 == 17) std::swap(box[0], box[2]);
    if (row % 71 == 19) box[row % 4] = std::numeric_limits<float>::quiet_NaN();
    if (row % 73 == 23) box[row % 4] = std::numeric_limits<float>::infinity();
  }
  return boxes;
}

/// Boxes of positive area with finite corners, as a matched row and its ground truth always are.
inline Tensor random_sound_boxes(Filler& fill, std::vector<Tensor>& keep, const Shape& shape, float side) {
  const Tensor boxes = fill.uniform<float>(keep, shape, 1, side);
  const std::span<float> values = boxes.mutable_values<float>();
  for (size_t i = 0; i + 3 < values.size(); i += 4)
    for (size_t axis = 0; axis < 2; ++axis) values[i + axis + 2] += values[i + axis];
  return boxes;
}

/// Numbers around 0, many of them equal with Fill::small_integers; a few are NaN, infinite or -0.
inline Tensor random_scores(Filler& fill, std::vector<Tensor>& keep, const Shape& shape) {
  const Tensor scores = fill.numbers<float>(keep, shape);
  const std::span<float> values = scores.mutable_values<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    if (i % 29 == 7) values[i] = std::numeric_limits<float>::quiet_NaN();
    if (i % 101 == 11) values[i] = std::numeric_limits<float>::infinity();
    if (i % 103 == 31) values[i] = -std::numeric_limits<float>::infinity();
    if (i % 37 == 5) values[i] = -0.0f;
  }
  return scores;
}

}  // namespace rcnn::kernels
