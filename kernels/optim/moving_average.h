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
  float* average;      // (size), read and written
  const float* value;  // (size)
  int64_t size;
  int64_t first_chunk = 0;  // chunks of the tensors before: see number_chunks
};

struct MovingAverageArgs {
  const Averaged* tensors;  // (count), in the device's memory; all are distinct
  int64_t count, chunks;    // tensors, and their number_chunks
  const float* share;       // one value: of the new values in the average
  const int32_t* skip;      // one value: other than 0, nothing is changed; null: never skip
};

/// One element's new average.
RCNN_HOST_DEVICE inline float averaged(float average, float value, float share) {
  return average + share * (value - average);
}

void moving_average_reference(const Stream&, Workspace&, const MovingAverageArgs& a);
/// CUDA: a block a chunk.
void moving_average_block_per_chunk(const Stream&, Workspace&, const MovingAverageArgs& a);

inline constexpr Variant<MovingAverageArgs> moving_average_variants[] = {
    OnCuda{"block_per_chunk", moving_average_block_per_chunk},
    {DeviceType::cpu, "reference", moving_average_reference},
};
inline constexpr Op<MovingAverageArgs> moving_average{"moving_average", "moving_average",
                                                      moving_average_variants};

}  // namespace rcnn::kernels
