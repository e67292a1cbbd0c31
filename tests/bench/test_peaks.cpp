// The kernels that measure a GPU's peak do the multiply-adds that are counted.
#if defined(RCNN_CUDA)
#include "bench/peaks.h"

#include <doctest/doctest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "core/cuda/device.h"
#include "core/tensor.h"

using namespace rcnn;

TEST_CASE("peaks: every thread makes the multiply-adds that are counted") {
  if (cuda::device_count() == 0) return;
  const Context ctx({DeviceType::cuda, 0});
  constexpr int64_t kBlocks = 3, kRounds = 2, kSteps = 8 * kRounds;
  const auto run = [&](Precision precision, double& flop) {
    const Tensor sums = Tensor::empty({kBlocks, kPeakThreads}, DType::f32, ctx.device);
    cuda::fill_bytes(ctx.device, sums.mutable_raw(), 0xFF, sums.bytes());  // NaN
    flop = launch_peak(ctx.stream, precision, kBlocks, kRounds, sums.mutable_data<float>());
    const Tensor host = sums.to(Device{});
    const auto values = host.values<float>();
    return std::vector<float>(values.begin(), values.end());
  };
  double flop = 0;

  float total = 0;
  for (int i = 0; i < 16; ++i) {
    auto sum = static_cast<float>(i);
    for (int64_t step = 0; step < kSteps; ++step) sum = std::fmaf(sum, 0.999F, 0.25F);
    total += sum;
  }
  for (const float found : run(Precision::f32, flop)) CHECK(found == total);
  CHECK(flop == 2.0 * 16 * kSteps * kBlocks * kPeakThreads);

  if (cuda::device_info(0).capability < 80) return;
  for (const auto& [precision, depth] : {std::pair{Precision::tf32, 8}, {Precision::bf16, 16}}) {
    CAPTURE(depth);
    // Each element of eight tiles of 16 x 8, of which a thread has a 32nd part, is a sum of 1 x 0.5.
    constexpr int kElements = 8 * 16 * 8 / 32;
    const float each = static_cast<float>(kSteps * depth) * 0.5F;
    for (const float found : run(precision, flop)) CHECK(found == kElements * each);
    CHECK(flop == 2.0 * kElements * depth * kSteps * kBlocks * kPeakThreads);
  }
}
#endif
