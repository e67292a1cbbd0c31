// A stream of the simulated device for tests of the simulation itself.
#pragma once

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "core/cuda/cuda.h"
#include "core/cuda/sim/simulation.h"

namespace rcnn {

#if defined(RCNN_RACE_CHECK)
inline constexpr bool kRaceCheck = true;
#else
inline constexpr bool kRaceCheck = false;
#endif

struct SimulatedDevice {
  cuda_sim::Settings before = cuda_sim::settings();
  Stream stream{{DeviceType::cuda, 0}, nullptr};
  std::vector<void*> memory;

  SimulatedDevice() {
    cuda_sim::settings().eager = false;
    cuda::select(stream.device);
    cuda_check(cudaStreamCreateWithFlags(&stream.handle, cudaStreamNonBlocking), "a stream");
  }
  ~SimulatedDevice() {
    cuda_sim::forget_fault();
    for (void* pointer : memory) cudaFreeAsync(pointer, stream.handle);
    cudaStreamDestroy(stream.handle);
    cudaGetLastError();
    cuda_sim::settings() = before;
  }
  SimulatedDevice(const SimulatedDevice&) = delete;
  SimulatedDevice& operator=(const SimulatedDevice&) = delete;

  void set_order(cuda_sim::Order order, uint64_t seed = 1) const {
    cuda_sim::settings().order = order;
    cuda_sim::settings().seed = seed;
  }

  /// Memory that has not been written.
  template <class T>
  T* allocate(size_t count) {
    void* pointer = nullptr;
    cuda_check(cudaMallocAsync(&pointer, count * sizeof(T), stream.handle), "memory");
    memory.push_back(pointer);
    return static_cast<T*>(pointer);
  }
  template <class T>
  T* upload(const std::vector<T>& values) {
    T* pointer = allocate<T>(values.size());
    cuda_check(cudaMemcpyAsync(pointer, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice,
                               stream.handle),
               "a copy to the device");
    return pointer;
  }
  /// Waits. Throws Error with the message of a fault.
  template <class T>
  std::vector<T> download(const T* pointer, size_t count) const {
    std::vector<T> values(count);
    cuda_check(
        cudaMemcpyAsync(values.data(), pointer, count * sizeof(T), cudaMemcpyDeviceToHost, stream.handle),
        "a copy from the device");
    return values;
  }
  /// Waits, clears the fault and returns its message; "" if there was none.
  std::string wait() const {
    const cudaError_t status = cudaStreamSynchronize(stream.handle);
    const std::string sentence = cuda_sim::fault();
    CHECK((status == cudaSuccess) == sentence.empty());
    cuda_sim::forget_fault();
    cudaGetLastError();
    return sentence;
  }
};

/// Runs the test in the two plain orders and in three shuffled ones.
template <class Test>
void in_every_order(const Test& test) {
  using cuda_sim::Order;
  for (const auto& [order, seed] : {std::pair{Order::ascending, 1},
                                    {Order::descending, 1},
                                    {Order::shuffled, 1},
                                    {Order::shuffled, 2},
                                    {Order::shuffled, 3}}) {
    SimulatedDevice device;
    device.set_order(order, static_cast<uint64_t>(seed));
    CAPTURE(static_cast<int>(order));
    CAPTURE(seed);
    test(device);
  }
}

/// Checks that a sentence has all of these parts.
inline void check_parts(const std::string& sentence, std::initializer_list<std::string> parts) {
  CAPTURE(sentence);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(sentence.find(part) != sentence.npos);
  }
}

}  // namespace rcnn
