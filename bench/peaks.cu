#include "bench/peaks.h"

#include "core/cuda/cuda.h"
#include "core/cuda/mma.h"

namespace rcnn {
namespace {

constexpr int kUnrolled = 8;  // steps of a round, so that counting rounds costs next to nothing

/// Sixteen sums in each thread: with eight warps on a scheduler, a multiply-add is ready in every clock. They
/// begin at different numbers, because a compiler may compute equal ones once.
struct FloatStep {
  static constexpr int kSums = 16;
  static constexpr double kFlop = 2.0 * kSums;  // of a thread
  float sums[kSums];

  __device__ FloatStep() {
    RCNN_UNROLL
    for (int i = 0; i < kSums; ++i) sums[i] = static_cast<float>(i);
  }
  __device__ void operator()() {
    RCNN_UNROLL
    for (float& sum : sums) sum = fmaf(sum, 0.999F, 0.25F);
  }
  __device__ float total() const {
    float total = 0;
    for (const float sum : sums) total += sum;
    return total;
  }
};

/// Eight independent tiles of 16 x 8 in each warp. All elements of A are 1, and all of B 0.5. (mma.sync is
/// volatile, so equal tiles are not computed once.)
template <Precision P>
struct TensorStep {
  static constexpr int kTiles = 8, kDepth = P == Precision::bf16 ? 16 : 8;
  static constexpr double kFlop = 2.0 * kTiles * 16 * 8 * kDepth / 32;  // of a thread
  float tiles[kTiles][4] = {};

  __device__ void operator()() {
    constexpr uint32_t one = P == Precision::bf16 ? 0x3F803F80u : 0x3F800000u;
    constexpr uint32_t half = P == Precision::bf16 ? 0x3F003F00u : 0x3F000000u;
    const uint32_t a[4] = {one, one, one, one}, b[2] = {half, half};
    RCNN_UNROLL
    for (auto& tile : tiles)
      if constexpr (P == Precision::bf16)
        cuda::mma_m16n8k16_bf16(tile, a, b);
      else
        cuda::mma_m16n8k8_tf32(tile, a, b);
  }
  __device__ float total() const {
    float total = 0;
    for (const auto& tile : tiles)
      for (const float sum : tile) total += sum;
    return total;
  }
};

template <class Step>
__global__ void __launch_bounds__(kPeakThreads) peak_kernel(int64_t rounds, float* sums) {
  Step step;
  for (int64_t round = 0; round < rounds; ++round) {
    RCNN_UNROLL
    for (int i = 0; i < kUnrolled; ++i) step();
  }
  sums[static_cast<int64_t>(blockIdx.x) * kPeakThreads + threadIdx.x] = step.total();
}

template <class Step>
double launch_steps(const Stream& stream, int64_t blocks, int64_t rounds, float* sums) {
  launch<peak_kernel<Step>>(stream, static_cast<unsigned>(blocks), kPeakThreads, 0, rounds, sums);
  return Step::kFlop * kUnrolled * static_cast<double>(rounds * blocks * kPeakThreads);
}

}  // namespace

double launch_peak(const Stream& stream, Precision precision, int64_t blocks, int64_t rounds, float* sums) {
  if (precision == Precision::f32) return launch_steps<FloatStep>(stream, blocks, rounds, sums);
  if (precision == Precision::tf32)
    return launch_steps<TensorStep<Precision::tf32>>(stream, blocks, rounds, sums);
  return launch_steps<TensorStep<Precision::bf16>>(stream, blocks, rounds, sums);
}

}  // namespace rcnn
