// The simulated runtime is correct: streams, events, copies, pinned memory, graphs.
#include <cstring>

#include "tests/core/cuda/simulated_device.h"

namespace rcnn {
namespace {

__global__ void add_kernel(int* x, int value) { x[threadIdx.x] += value; }
__global__ void multiply_kernel(int* x, int value) { x[threadIdx.x] *= value; }

/// A pinned buffer of ints.
struct Pinned {
  int* data = nullptr;
  explicit Pinned(size_t count) {
    void* pointer = nullptr;
    cuda_check(cudaHostAlloc(&pointer, count * sizeof(int), cudaHostAllocDefault), "pinned memory");
    data = static_cast<int*>(pointer);
    std::memset(data, 0, count * sizeof(int));
  }
  ~Pinned() { cudaFreeHost(data); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
};

struct Event {
  cudaEvent_t handle = nullptr;
  Event() { cudaEventCreateWithFlags(&handle, 0); }
  ~Event() { cudaEventDestroy(handle); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
};

TEST_CASE("work on a stream runs in order, and only when the host waits for it") {
  SimulatedDevice device;
  int* x = device.upload(std::vector<int>{1, 2, 3});
  const Pinned result(3);
  const uint64_t launches = cuda_sim::launches();
  launch<add_kernel>(device.stream, 1, 3, 0, x, 10);
  launch<multiply_kernel>(device.stream, 1, 3, 0, x, 2);
  cuda_check(cudaMemcpyAsync(result.data, x, 12, cudaMemcpyDeviceToHost, device.stream.handle), "a copy");
  CHECK(cuda_sim::launches() == launches);
  CHECK(result.data[0] != 22);  // without a wait the buffer holds something else
  CHECK(device.wait() == "");
  CHECK(cuda_sim::launches() == launches + 2);
  CHECK(result.data[0] == 22);
  CHECK(result.data[2] == 26);
  launch<add_kernel>(device.stream, 0, 3, 0, x, 10);  // an empty grid does not count as a launch
  CHECK(device.wait() == "");
  CHECK(cuda_sim::launches() == launches + 2);
}

TEST_CASE("a list of launches counts kernels and runs none") {
  SimulatedDevice device;
  int* x = device.upload(std::vector<int>{1, 2, 3});
  cuda_sim::settings().list = true;
  launch<add_kernel>(device.stream, 2, 3, 0, x, 10);
  launch<add_kernel>(device.stream, dim3(3, 2, 2), 3, 0, x, 10);
  CHECK(device.wait() == "");
  cuda_sim::settings().list = false;
  auto& listed = cuda_sim::listed();
  CHECK(listed["add_kernel"].launches == 2);
  CHECK(listed["add_kernel"].blocks == 14);
  listed.clear();
  CHECK(device.download(x, 3) == std::vector<int>{1, 2, 3});
}

TEST_CASE("eager settings run work when it is put on a stream") {
  SimulatedDevice device;
  int* x = device.upload(std::vector<int>{1});
  cuda_sim::settings().eager = true;
  const uint64_t launches = cuda_sim::launches();
  launch<add_kernel>(device.stream, 1, 1, 0, x, 10);
  CHECK(cuda_sim::launches() == launches + 1);
}

TEST_CASE("streams are not ordered among themselves without an event") {
  for (const bool wait : {false, true}) {
    SimulatedDevice device, other;
    int* x = device.upload(std::vector<int>{1});
    CHECK(device.wait() == "");
    launch<add_kernel>(device.stream, 1, 1, 0, x, 10);
    if (wait) {
      const Event event;  // destroyed before the waiting work runs, which CUDA allows
      cuda_check(cudaEventRecord(event.handle, device.stream.handle), "an event");
      cuda_check(cudaStreamWaitEvent(other.stream.handle, event.handle), "a wait");
    }
    launch<multiply_kernel>(other.stream, 1, 1, 0, x, 3);
    CHECK(other.wait() == "");
    CHECK(device.download(x, 1)[0] == (wait ? 33 : 13));
  }
}

TEST_CASE("an event waits only for the work before it") {
  SimulatedDevice device;
  int* x = device.upload(std::vector<int>{1});
  const Event begin, end;
  const uint64_t launches = cuda_sim::launches();
  cudaEventRecord(begin.handle, device.stream.handle);
  launch<add_kernel>(device.stream, 1, 1, 0, x, 10);
  cudaEventRecord(end.handle, device.stream.handle);
  launch<add_kernel>(device.stream, 1, 1, 0, x, 10);
  float milliseconds = -1;
  CHECK(cudaEventElapsedTime(&milliseconds, begin.handle, end.handle) == cudaErrorNotReady);
  CHECK(cudaEventSynchronize(end.handle) == cudaSuccess);
  CHECK(cuda_sim::launches() == launches + 1);
  CHECK(cudaEventElapsedTime(&milliseconds, begin.handle, end.handle) == cudaSuccess);
  CHECK(milliseconds >= 0);
  cudaGetLastError();
}

TEST_CASE("copies and fills") {
  SimulatedDevice device;
  cudaStream_t stream = device.stream.handle;
  std::vector<int> from = {1, 2, 3, 4};
  int* x = device.upload(from);
  from[0] = 100;  // pageable memory was read before the call returned
  int* y = device.allocate<int>(4);
  cuda_check(cudaMemsetAsync(y, 0xFF, 16, stream), "a fill");
  cuda_check(cudaMemcpyAsync(y + 1, x, 8, cudaMemcpyDeviceToDevice, stream), "a copy");
  CHECK(device.download(y, 4) == std::vector<int>{-1, 1, 2, -1});
  const Pinned pinned(4);
  for (int i = 0; i < 4; ++i) pinned.data[i] = 7 + i;
  cuda_check(cudaMemcpyAsync(y, pinned.data, 16, cudaMemcpyHostToDevice, stream), "a copy");
  CHECK(device.download(y, 4) == std::vector<int>{7, 8, 9, 10});
  CHECK(cudaMemcpyAsync(y + 1, x, 16, cudaMemcpyDeviceToDevice, stream) == cudaErrorInvalidValue);
  check_parts(cudaGetErrorString(cudaErrorInvalidValue), {"a copy of 16 bytes", "not inside an allocation"});
  CHECK(cudaMemsetAsync(y, 0, 17, stream) == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK(cudaMemsetAsync(y, 0, 16, nullptr) == cudaErrorInvalidValue);
  cudaGetLastError();
}

TEST_CASE("the content of memory that was not written changes with the order") {
  std::vector<int> found[2];
  for (const cuda_sim::Order order : {cuda_sim::Order::ascending, cuda_sim::Order::descending}) {
    SimulatedDevice device;
    device.set_order(order);
    found[order == cuda_sim::Order::ascending ? 0 : 1] = device.download(device.allocate<int>(5), 5);
  }
  for (size_t i = 0; i < 5; ++i) CHECK(found[0][i] != found[1][i]);
}

TEST_CASE("a graph is recorded without running, and replayed") {
  SimulatedDevice device;
  cudaStream_t stream = device.stream.handle;
  int* x = device.upload(std::vector<int>{1});
  int* y = device.upload(std::vector<int>{0});
  CHECK(device.wait() == "");
  const uint64_t launches = cuda_sim::launches();
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  cuda_check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "a capture");
  launch<multiply_kernel>(device.stream, 1, 1, 0, x, 3);
  launch<add_kernel>(device.stream, 1, 1, 0, x, 1);
  cuda_check(cudaMemcpyAsync(y, x, 4, cudaMemcpyDeviceToDevice, stream), "a copy");
  CHECK(cudaStreamSynchronize(stream) == cudaErrorStreamCaptureUnsupported);  // it cannot be waited for
  int host = 0;
  CHECK(cudaMemcpyAsync(&host, x, 4, cudaMemcpyDeviceToHost, stream) == cudaErrorStreamCaptureUnsupported);
  void* memory = nullptr;
  CHECK(cudaMallocAsync(&memory, 4, stream) == cudaErrorStreamCaptureUnsupported);
  cudaGetLastError();
  cuda_check(cudaStreamEndCapture(stream, &graph), "the capture's end");
  cuda_check(cudaGraphInstantiate(&executable, graph, 0), "a graph");
  cudaGraphDestroy(graph);
  CHECK(device.download(x, 1)[0] == 1);
  CHECK(cuda_sim::launches() == launches);
  for (const int expected : {4, 13, 40}) {
    cuda_check(cudaGraphLaunch(executable, stream), "a replay");
    CHECK(device.download(y, 1)[0] == expected);
  }
  CHECK(cuda_sim::launches() == launches + 6);
  cudaGraphExecDestroy(executable);
}

TEST_CASE("memory is freed in the stream's order") {
  SimulatedDevice device;
  size_t free_before = 0, total = 0, free_between = 0, free_after = 0;
  cudaMemGetInfo(&free_before, &total);
  void* memory = nullptr;
  cuda_check(cudaMallocAsync(&memory, 100000, device.stream.handle), "memory");
  launch<add_kernel>(device.stream, 1, 1, 0, static_cast<int*>(memory), 1);
  cuda_check(cudaFreeAsync(memory, device.stream.handle), "a free");
  cudaMemGetInfo(&free_between, &total);
  CHECK(device.wait() == "");  // the launch came before
  cudaMemGetInfo(&free_after, &total);
  CHECK(free_between + 100000 <= free_before);
  CHECK(free_after == free_before);
  CHECK(cudaMallocAsync(&memory, total + 1, device.stream.handle) == cudaErrorMemoryAllocation);
  CHECK(cudaFreeAsync(&memory, device.stream.handle) == cudaErrorInvalidValue);
  cudaGetLastError();
}

}  // namespace
}  // namespace rcnn
