// A value for each level of a feature pyramid, without copying the levels into one array.
#pragma once

#include <cstdint>

namespace rcnn::kernels {

/// The most levels that an op over several levels takes.
inline constexpr int kMaxLevels = 6;

/// One level's array: N images of `rows` rows each, one behind the other.
template <class T>
struct LevelView {
  T* data;
  int64_t rows;  // rows an image
};

}  // namespace rcnn::kernels
