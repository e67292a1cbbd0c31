// A value for each level of a feature pyramid, without copying the levels into one array.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace rcnn::kernels {

/// The most levels that an op over several levels takes.
inline constexpr int kMaxLevels = 6;

/// One level's array: N images of `rows` rows each, one behind the other.
template <class T>
struct LevelView {
  T* data = nullptr;
  int64_t rows = 0;  // rows an image
};

/// Rows of an image over all levels.
template <class Views>
RCNN_HOST_DEVICE inline int64_t total_rows(const Views& views, int levels) {
  int64_t total = 0;
  for (int level = 0; level < levels; ++level) total += views[level].rows;
  return total;
}

/// A row of a level.
struct LevelRow {
  int level;
  int64_t row;   // counted over all images
  int64_t left;  // rows of the level from this one on in its image, itself among them
};

/// The row that belongs to element `index` of an array (N, rows of all levels, one after the other). `total`
/// is total_rows; the array has fewer than 2^31 elements.
template <class Views>
RCNN_HOST_DEVICE inline LevelRow level_row(const Views& views, int64_t total, int64_t index) {
  // GPUs divide 32-bit numbers several times faster than 64-bit ones.
  const auto i = static_cast<uint32_t>(index), rows = static_cast<uint32_t>(total);
  const int64_t image = i / rows;
  int64_t row = i % rows;
  int level = 0;
  while (row >= views[level].rows) row -= views[level++].rows;
  return {level, image * views[level].rows + row, views[level].rows - row};
}

}  // namespace rcnn::kernels
