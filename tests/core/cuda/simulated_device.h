// A stream of the simulated device for tests of the simulation itself.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>

#include "core/cuda/sim/simulation.h"
#include "tests/core/cuda/device_stream.h"

namespace rcnn {

#if defined(RCNN_RACE_CHECK)
inline constexpr bool kRaceCheck = true;
#else
inline constexpr bool kRaceCheck = false;
#endif

struct SimulatedDevice : DeviceStream {
  cuda_sim::Settings before = cuda_sim::settings();

  SimulatedDevice() { cuda_sim::settings().eager = false; }
  ~SimulatedDevice() {
    cuda_sim::forget_fault();
    cuda_sim::settings() = before;
  }

  void set_order(cuda_sim::Order order, uint64_t seed = 1) const {
    cuda_sim::settings().order = order;
    cuda_sim::settings().seed = seed;
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
