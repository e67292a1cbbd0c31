// Where a resized image reads its source, and what becomes of the bytes.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace rcnn::kernels {

/// The two source pixels of an output pixel on one axis, and the weight of the second.
struct SourcePair {
  int64_t low, high;
  float high_weight;
};

/// Output pixel `at` of `resized` on an axis of `size` source pixels.
RCNN_HOST_DEVICE inline SourcePair source_pair(int64_t at, int64_t size, int64_t resized) {
  const float scale = static_cast<float>(size) / static_cast<float>(resized);
  float source = (static_cast<float>(at) + 0.5f) * scale - 0.5f;
  if (source < 0.0f) source = 0.0f;
  int64_t low = static_cast<int64_t>(source);
  if (low > size - 1) low = size - 1;
  return {low, low < size - 1 ? low + 1 : low, source - static_cast<float>(low)};
}

RCNN_HOST_DEVICE inline float mix(float low, float high, float high_weight) {
  return (1.0f - high_weight) * low + high_weight * high;
}

/// y = byte * gain + offset is (byte * range - mean) / deviation.
struct Normalization {
  float gain, offset;
};
RCNN_HOST_DEVICE inline Normalization normalization(float range, float mean, float deviation) {
  return {range / deviation, -mean / deviation};
}

}  // namespace rcnn::kernels
