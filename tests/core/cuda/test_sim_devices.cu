// Two simulated devices: what the engine puts on a device that is not selected.
#include "core/cuda/device.h"
#include "core/tensor.h"
#include "tests/core/cuda/simulated_device.h"

namespace rcnn {
namespace {

__global__ void increment_kernel(float* values, int count) {
  const int i = static_cast<int>(blockIdx.x * 256 + threadIdx.x);
  if (i < count) values[i] += 1;
}

TEST_CASE("cuda:1: memory, copies, launches, events and graphs select their device") {
  const Device second{DeviceType::cuda, 1};
  REQUIRE(cuda::device_count() == 2);
  const auto forget = [] { cuda_check(cudaSetDevice(0), "selecting the first device"); };
  for (const int64_t count : {100, 10000}) {  // as arguments of a kernel, and through a pinned buffer
    CAPTURE(count);
    Tensor host = Tensor::empty({count}, DType::f32);
    host.fill(3);
    forget();
    const Tensor x = host.to(second);
    forget();
    const Tensor y = x.clone();
    forget();
    const Stream stream = cuda::work_stream(second);
    const auto increment = [&] {
      forget();
      launch<increment_kernel>(stream, blocks_for(count, 256), 256, 0, y.mutable_data<float>(),
                               static_cast<int>(count));
    };
    increment();
    cuda::Graph graph;
    forget();
    graph.capture(second, increment);
    forget();
    graph.replay();
    forget();
    cuda::Event begin(second, true), end(second, true);
    forget();
    begin.record(stream);
    increment();
    forget();
    end.record(stream);
    forget();
    end.wait();
    CHECK(end.since(begin) >= 0);
    forget();
    const Tensor zeros = Tensor::zeros({count}, DType::f32, second);
    forget();
    const Tensor back = y.to(Device{}), cleared = zeros.to(Device{});
    for (const float value : back.values<float>()) CHECK(value == 6);
    for (const float value : cleared.values<float>()) CHECK(value == 0);
  }
  forget();
}

TEST_CASE("the simulation refuses work on a stream of a device that is not selected") {
  const Stream stream = cuda::work_stream({DeviceType::cuda, 1});
  cuda_check(cudaSetDevice(1), "selecting the second device");
  void* memory = nullptr;
  CHECK(cudaMallocAsync(&memory, 64, stream.handle) == cudaSuccess);
  cudaEvent_t event;
  cuda_check(cudaSetDevice(0), "selecting the first device");
  CHECK(cudaEventCreateWithFlags(&event, 0) == cudaSuccess);
  CHECK(cudaMemsetAsync(memory, 0, 64, stream.handle) == cudaErrorInvalidValue);
  check_parts(cudaGetErrorString(cudaErrorInvalidValue),
              {"a stream of device 1 while device 0 was selected"});
  CHECK(cudaEventRecord(event, stream.handle) == cudaErrorInvalidValue);
  cuda_check(cudaSetDevice(1), "selecting the second device");
  CHECK(cudaEventRecord(event, stream.handle) == cudaErrorInvalidValue);
  check_parts(cudaGetErrorString(cudaErrorInvalidValue),
              {"an event of device 0 was recorded on a stream of device 1"});
  CHECK(cudaEventDestroy(event) == cudaSuccess);
  CHECK(cudaFreeAsync(memory, stream.handle) == cudaSuccess);
  CHECK(cudaSetDevice(cuda_sim::kDevices) == cudaErrorInvalidDevice);
  cudaGetLastError();
  cuda_check(cudaSetDevice(0), "selecting the first device");
}

}  // namespace
}  // namespace rcnn
