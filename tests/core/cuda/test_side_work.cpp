// Work on a second stream of a GPU, real or simulated, beside its work stream.
#include <doctest/doctest.h>

#include <algorithm>
#include <thread>

#include "core/cuda/device.h"
#include "core/cuda/tensor.h"
#include "core/error.h"
#include "core/tensor.h"

using namespace rcnn;

namespace {

bool has_only(const Tensor& tensor, float value) {
  const Tensor here = tensor.to(Device{});
  const auto values = here.values<float>();
  return std::all_of(values.begin(), values.end(), [&](float found) { return found == value; });
}

}  // namespace

TEST_CASE("side work: it sees what is on the work stream before it, and is this thread's alone") {
  if (cuda::device_count() == 0) {
    MESSAGE("skipped: no GPU, and none simulated (make CUDA=sim)");
    return;
  }
  const Device gpu{DeviceType::cuda, 0};
  const Stream work = cuda::work_stream(gpu);
  constexpr int64_t kElements = 5003;
  const Tensor x = Tensor::zeros({kElements}, DType::f32, gpu),
               z = Tensor::zeros({kElements}, DType::f32, gpu);
  Tensor sum;
  for (int turn = 1; turn <= 2; ++turn) {  // the second one finds the memory of the first
    CAPTURE(turn);
    x.fill(turn);
    cuda::Event done(gpu);
    {
      const cuda::SideWork beside(gpu);
      CHECK(cuda::work_stream(gpu).handle != work.handle);
      CHECK_THROWS_AS(cuda::SideWork{gpu}, Error);
      const Tensor copy = x.clone();
      sum = Tensor::zeros({kElements}, DType::f32, gpu);
      cuda::add_to(sum, copy);
      cuda::add_to(sum, copy);
      done.record(cuda::work_stream(gpu));
      std::thread([&] {  // that of another thread is the work stream
        CHECK(cuda::work_stream(gpu).handle == work.handle);
        z.fill(-turn);
      })
          .join();
      done.wait();
    }
    CHECK(cuda::work_stream(gpu).handle == work.handle);
    CHECK(has_only(sum, static_cast<float>(2 * turn)));
    CHECK(has_only(z, static_cast<float>(-turn)));
  }
}
