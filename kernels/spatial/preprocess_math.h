// Which source pixels a resized image reads, and how their bytes are normalised.
#pragma once

#include "kernels/spatial/preprocess.h"

namespace rcnn::kernels {

/// The two source pixels that an output pixel reads along one axis, and the weight of the second.
struct SourcePair {
  int64_t low, high;
  float high_weight;
};

/// The source pixels of output pixel `at` of `resized`, on an axis of `size` source pixels.
RCNN_HOST_DEVICE inline SourcePair source_pair(int64_t at, int64_t size, int64_t resized) {
  // As precise as torch: the scale is rounded to float, but the position is not, because its digits before
  // the point would take precision from the weight.
  const float scale = static_cast<float>(size) / static_cast<float>(resized);
  double source = (static_cast<double>(at) + 0.5) * static_cast<double>(scale) - 0.5;
  if (source < 0) source = 0;
  int64_t low = static_cast<int64_t>(source);
  if (low > size - 1) low = size - 1;
  return {low, low < size - 1 ? low + 1 : low, static_cast<float>(source - static_cast<double>(low))};
}

RCNN_HOST_DEVICE inline float mix(float low, float high, float high_weight) {
  return (1.0f - high_weight) * low + high_weight * high;
}

/// Normalisation as byte * gain + offset, which equals (byte * range - mean) / deviation.
struct PixelNormalization {
  float gain, offset;
};
RCNN_HOST_DEVICE inline PixelNormalization normalization(float range, float mean, float deviation) {
  return {range / deviation, -mean / deviation};
}

/// How the three channels of y are made.
struct Channels {
  PixelNormalization normal[3];  // of each channel of y
  int source[3];                 // the byte of a pixel that each channel of y reads
};
inline Channels channels_of(const PreprocessArgs& a) {
  Channels channels{};
  for (int k = 0; k < 3; ++k) {
    channels.normal[k] = normalization(a.range, a.mean[k], a.deviation[k]);
    channels.source[k] = a.bgr ? 2 - k : k;
  }
  return channels;
}

/// Channel k of the output pixel that reads these rows and columns of the image.
RCNN_HOST_DEVICE inline float resized_value(const PreprocessImage& image, const SourcePair& rows,
                                            const SourcePair& columns, const Channels& channels, int k) {
  const auto byte = [&](int64_t i, int64_t j) {
    return static_cast<float>(image.pixels[(i * image.w + j) * 3 + channels.source[k]]);
  };
  const float low = mix(byte(rows.low, columns.low), byte(rows.high, columns.low), rows.high_weight);
  const float high = mix(byte(rows.low, columns.high), byte(rows.high, columns.high), rows.high_weight);
  const PixelNormalization normal = channels.normal[k];
  return mix(low, high, columns.high_weight) * normal.gain + normal.offset;
}

}  // namespace rcnn::kernels
