#include "core/memory.h"

#include <array>
#include <atomic>

#include "core/error.h"

namespace rcnn {
namespace {

struct Counter {
  std::atomic<int64_t> in_use{0}, peak{0};
};

/// The CPU's is the first, that of cuda:i follows at i + 1.
Counter& counter_of(Device device) {
  constexpr size_t kMostGpus = 64;
  static std::array<Counter, kMostGpus + 1> counters;
  const size_t slot = device.type == DeviceType::cpu ? 0 : static_cast<size_t>(device.index) + 1;
  check(slot < counters.size(), "memory of {}: at most {} GPUs are counted", device.str(), kMostGpus);
  return counters[slot];
}

}  // namespace

int64_t memory_in_use(Device device) { return counter_of(device).in_use; }
int64_t peak_memory(Device device) { return counter_of(device).peak; }
void reset_peak_memory(Device device) {
  Counter& counter = counter_of(device);
  counter.peak = counter.in_use.load();
}

void count_memory(Device device, int64_t bytes) {
  Counter& counter = counter_of(device);
  const int64_t now = counter.in_use += bytes;
  int64_t peak = counter.peak;
  while (now > peak && !counter.peak.compare_exchange_weak(peak, now)) {
  }
}

}  // namespace rcnn
