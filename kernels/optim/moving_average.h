// Exponential moving average of many tensors, in one pass.
//
//     average = average + share (value - average)
//
// The share changes from step to step and is read from the op's device, so a step never waits for the host.
#pragma once

#include "kernels/chunks.h"
#include "kernels/op.h"

namespace rcnn::kernels {

/// A tensor and its average.
struct Averaged {
  float* average = nullptr;      // (size), read and written
  const float* value = nullptr;  // (size)
  int64_t size = 0;
  int64_t first_chunk = 0;  // number of chunks of the previous tensors: see number_chunks
};

struct MovingAverageArgs {
  const Averaged* tensors = nullptr;  // (count), in the device's memory; no two overlap
  int64_t count = 0, chunks = 0;      // of the tensors; see number_chunks
  const float* share = nullptr;       // one value: the weight of the new values in the average
  const int32_t* skip = nullptr;      // one value: if not 0, nothing is changed; null: never skip
};

/// One element's new average.
RCNN_HOST_DEVICE inline float averaged(float average, float value, float share) {
  return average + share * (value - average);
}

Run<MovingAverageArgs> moving_average_reference;
/// CUDA: one block per chunk.
Run<MovingAverageArgs> moving_average_block_per_chunk;

// clang-format off
inline constexpr Technique<MovingAverageArgs> moving_average_techniques[] = {
    {"block_per_chunk", on_cuda, moving_average_block_per_chunk},
    {"reference", on_cpu, moving_average_reference},
};
// clang-format on
inline constexpr Op moving_average{"moving_average", "moving_average", column<0>(moving_average_techniques)};

}  // namespace rcnn::kernels
