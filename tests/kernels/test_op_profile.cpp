// The times of ops that `rcnn bench model --profile` prints.
#include "core/op_profile.h"

#include <doctest/doctest.h>

#include "kernels/elementwise/softmax.h"

namespace rcnn {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Profiles two calls of softmax. Returns the seconds that both took in all, the host's waiting included.
double profile_softmax(Context& ctx, OpProfile& profile) {
  const Tensor x = Tensor::zeros({300, 100}, DType::f32, ctx.device), y = ctx.empty(x.shape());
  if (ctx.device.type == DeviceType::cuda) cuda::synchronize(ctx.device);
  const auto start = Clock::now();
  for (int i = 0; i < 2; ++i)
    kernels::run_in(ctx, DType::f32, kernels::softmax, [&]<class T>(kernels::SoftmaxArgs<T>& args) {
      args = {.rows = 300, .c = 100, .logits = x.data<T>(), .probabilities = y.mutable_data<T>()};
    });
  if (ctx.device.type == DeviceType::cuda) cuda::synchronize(ctx.device);
  const double seconds = seconds_since(start);
  profile.collect();
  return seconds;
}

TEST_CASE("profile: ops are counted and their times added up, on the CPU and on a GPU") {
  for (const DeviceType type : {DeviceType::cpu, DeviceType::cuda}) {
    if (type == DeviceType::cuda && cuda::device_count() == 0) continue;
    CAPTURE(static_cast<int>(type));
    Context ctx(Device{type, 0});
    {
      OpProfile profile(ctx);
      double all = profile_softmax(ctx, profile);
      REQUIRE(profile.ops().size() == 1);
      const auto ops = profile.ops();
      const OpProfile::Entry first = ops.begin()->second;
      CHECK(ops.begin()->first.starts_with("softmax ("));
      CHECK(first.calls == 2);
      CHECK(first.seconds > 0);
      all += profile_softmax(ctx, profile);
      const auto ops_of_both = profile.ops();
      const OpProfile::Entry both = ops_of_both.begin()->second;
      CHECK(both.calls == 4);
      CHECK(both.seconds > first.seconds);
      CHECK(both.seconds < all);
      // The simulated device works while the host waits, so a host's clock around the calls would see
      // nothing.
      if (type == DeviceType::cuda && cuda::is_simulated()) CHECK(both.seconds > all / 2);
    }
    CHECK(ctx.observer == nullptr);
  }
}

}  // namespace
}  // namespace rcnn
