// Kernels that only multiply and add, in registers: how fast a GPU can do so at most.
#pragma once

#include "core/context.h"

namespace rcnn {

inline constexpr int kPeakThreads = 256;  // of a block

/// Queues multiply-adds of operands in `precision`: fused ones of floats for f32, mma.sync of tensor cores
/// for tf32 and bf16, which need sm_80. `sums`, (blocks, kPeakThreads) on the stream's device, receives the
/// sum of each thread's results. Returns the FLOP, two for each multiply-add.
double launch_peak(const Stream& stream, Precision precision, int64_t blocks, int64_t rounds, float* sums);

}  // namespace rcnn
