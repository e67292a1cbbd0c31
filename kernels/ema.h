// Moving averages of many tensors at once: of a model's weights, which an average makes steadier than the
// last step leaves them (Polyak and Juditsky 1992; Tarvainen and Valpola 2017).
//
//     average = average + (1 - decay) (value - average)
#pragma once

#include "kernels/chunks.h"
#include "kernels/op.h"

namespace rcnn::kernels {

struct EmaTensor {
  const float* value;  // (size)
  float* average;      // (size), read and written
  int64_t size;
  int64_t first_chunk = 0;  // see number_chunks
};

struct EmaArgs {
  const EmaTensor* tensors;  // (count), in the device's memory
  int64_t count, chunks;     // tensors, and their number_chunks
  const float* decay;        // one value, in [0, 1)
  const int32_t* skip;       // one value: other than 0, nothing is changed; null: never skip
};

void ema_reference(const Stream&, Workspace&, const EmaArgs& a);
/// CUDA: a block a chunk.
void ema_block_per_chunk(const Stream&, Workspace&, const EmaArgs& a);

// clang-format off
inline constexpr Variant<EmaArgs> ema_variants[] = {
    OnCuda{"block_per_chunk", ema_block_per_chunk},
    {DeviceType::cpu, "reference", ema_reference},
};
inline constexpr Op<EmaArgs> ema{"ema", "ema", ema_variants};
// clang-format on

}  // namespace rcnn::kernels
