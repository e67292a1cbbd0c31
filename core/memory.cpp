#include "core/memory.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <string>

#include "core/error.h"

namespace rcnn {
namespace {

struct Counter {
  std::atomic<int64_t> in_use{0}, peak{0};
};

/// The first counter is the CPU's; that of cuda:i is at i + 1.
Counter& counter_of(Device device) {
  constexpr size_t kMaxGpus = 64;
  static std::array<Counter, kMaxGpus + 1> counters;
  const size_t slot = device.type == DeviceType::cpu ? 0 : static_cast<size_t>(device.index) + 1;
  check(slot < counters.size(), "memory of {}: at most {} GPUs are counted", device.str(), kMaxGpus);
  return counters[slot];
}

/// The number after a word in one of the system's files; -1 if there is no number ("max").
int64_t number_in(const char* path, const std::string& word) {
  std::ifstream file(path);
  std::string found;
  int64_t number = -1;
  while (!word.empty() && file >> found && found != word) {
  }
  return file >> number ? number : -1;
}

}  // namespace

ProcessMemory process_memory() {
  constexpr int64_t kKiB = 1024;
  const auto in_status = [](const char* word) {
    return std::max<int64_t>(0, number_in("/proc/self/status", word)) * kKiB;
  };
  ProcessMemory memory{in_status("VmRSS:"), in_status("VmHWM:"),
                       std::max<int64_t>(0, number_in("/proc/meminfo", "MemAvailable:")) * kKiB};
  const int64_t limit = number_in("/sys/fs/cgroup/memory.max", ""),
                used = number_in("/sys/fs/cgroup/memory.current", "");
  if (limit >= 0 && used >= 0) memory.available = std::clamp<int64_t>(limit - used, 0, memory.available);
  return memory;
}

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
