// The kernel of docs/write-a-kernel.md, "A faster kernel, by its counts", beside the one that it begins from.
// The lines between the marks are those of the page (tests/cli/test_write_a_kernel.cpp compares them).
#include "core/cuda/sim/access_count.h"
#include "kernels/cases_device.h"
#include "kernels/lanes.h"
#include "kernels/roi/roi_align_cases.h"
#include "kernels/roi/roi_align_math.h"
#include "tests/core/cuda/simulated_device.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

// page: kernel
/// The means of bin (py, px) of a RoI in four channels of its map.
__device__ Lanes<4> pool_four(const RoiAlignArgs<float>& a, const RoiAxes& roi, int64_t py, int64_t px,
                              const float* map) {
  const int64_t h = a.h[roi.level], w = a.w[roi.level];
  AxisSample y{}, x{};
  Lanes<4> sum{};
  for (int i = 0; i < roi.y.points; ++i) {
    if (!axis_sample(roi.y, py, i, h, y)) continue;
    for (int j = 0; j < roi.x.points; ++j) {
      if (!axis_sample(roi.x, px, j, w, x)) continue;
      const auto pixel = [&](int64_t row, int64_t column) {
        return load_lanes<4>(map + (row * w + column) * a.c);
      };
      const Lanes<4> low_low = pixel(y.low, x.low), low_high = pixel(y.low, x.high),
                     high_low = pixel(y.high, x.low), high_high = pixel(y.high, x.high);
      for (int k = 0; k < 4; ++k) {
        const float low = x.low_weight * low_low.v[k] + x.high_weight * low_high.v[k];
        const float high = x.low_weight * high_low.v[k] + x.high_weight * high_high.v[k];
        sum.v[k] += y.low_weight * low + y.high_weight * high;
      }
    }
  }
  for (float& value : sum.v) value /= static_cast<float>(sample_count(roi.y, roi.x));
  return sum;
}

/// One thread per four channels of a bin.
__global__ void four_channels_kernel(RoiAlignArgs<float> a) {
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * 4;
  if (at >= a.n * a.r * a.ph * a.pw * a.c) return;
  const int64_t channel = at % a.c, px = at / a.c % a.pw, py = at / a.c / a.pw % a.ph;
  const int64_t k = at / a.c / a.pw / a.ph, image = k / a.r;
  if (is_padding(a, image, k % a.r)) {
    store_lanes(a.y + at, Lanes<4>{});
    return;
  }
  const RoiAxes roi = axes_of(a, a.rois + k * 4);
  const float* map = a.x[roi.level] + image * a.h[roi.level] * a.w[roi.level] * a.c + channel;
  store_lanes(a.y + at, pool_four(a, roi, py, px, map));
}
// page: end

/// Runs `work` on a copy of the case on the simulated device, and returns y.
template <class Work>
std::vector<float> result_of(const RoiAlignCase& c, Work work) {
  Context ctx(Device{DeviceType::cuda, 0});
  const auto p = on_device(prepare_roi_align<float>(c, Filler(1, Fill::uniform)), ctx.device);
  cuda::synchronize(ctx.device);
  work(ctx, p.args);
  cuda::synchronize(ctx.device);
  const Tensor y = p.outputs.at(0).to(Device{});
  return {y.data<float>(), y.data<float>() + y.numel()};
}

void run_four_channels(Context& ctx, const RoiAlignArgs<float>& a) {
  launch<four_channels_kernel>(ctx.stream, blocks_for(a.n * a.r * a.ph * a.pw * a.c / 4, kThreads), kThreads,
                               0, a);
}

void run_thread_per_output(Context& ctx, const RoiAlignArgs<float>& a) {
  roi_align_thread_per_output(ctx.stream, ctx.workspace, a);
}

/// Two images with padding, 32 channels on three levels.
const RoiAlignCase kCase{{2, 17, 32, 3, 2, 13, 11, 3, 4, 32, true, true}, 2, false};

TEST_CASE("docs/write-a-kernel.md: four channels for a thread give the bits of one channel") {
  CHECK(result_of(kCase, run_four_channels) == result_of(kCase, run_thread_per_output));
}

#if defined(RCNN_RACE_CHECK)

TEST_CASE("docs/write-a-kernel.md: four channels for a thread make a quarter of the requests") {
  const auto counted = [](auto work) {
    uint64_t requests = 0;
    result_of(kCase, [&](Context& ctx, const RoiAlignArgs<float>& a) {
      const cuda_sim::AccessCounter counter;
      work(ctx, a);
      cuda::synchronize(ctx.device);
      const auto launches = counter.launches();
      REQUIRE(launches.size() == 1);
      for (const auto& access : launches.front().accesses)
        // Of pixels and results: each thread reads its RoI once, whatever its channels.
        if (access.place.find("roi_levels.h") == std::string::npos) requests += access.requests;
    });
    return requests;
  };
  const uint64_t one = counted(run_thread_per_output), four = counted(run_four_channels);
  CHECK(four > 0);
  // A warp has one bin of 32 channels, and four bins of 8 threads, of which some may have less to do.
  CHECK(one > 3 * four);
  CHECK(one <= 4 * four);
}

#endif

}  // namespace
}  // namespace rcnn::kernels
