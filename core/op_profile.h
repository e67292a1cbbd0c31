// How long each op takes, measured through the context's profiler.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "core/context.h"
#include "core/cuda/device.h"

namespace rcnn {

/// Measures the ops that a context runs during the profile's lifetime. On the CPU that is the time from an
/// op's start to its end. On a GPU the host only queues the work, so an event is put on the stream before and
/// after it; the time between the two includes gaps in which the GPU waits for the host.
class OpProfile {
 public:
  explicit OpProfile(Context& ctx);
  ~OpProfile();
  OpProfile(const OpProfile&) = delete;
  OpProfile& operator=(const OpProfile&) = delete;

  /// Adds the times of the calls since the last collect(). On a GPU their work must have finished.
  void collect();

  struct Entry {
    double seconds = 0;
    int calls = 0;
  };
  /// By op and variant: "conv2d (tiled)". Holds what was collected.
  const std::map<std::string, Entry>& ops() const { return ops_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Call {
    std::string name;
    Clock::duration duration{};
  };

  Context& ctx_;
  bool on_gpu_;
  Clock::time_point start_;
  std::vector<Call> calls_;          // since the last collect()
  std::vector<cuda::Event> events_;  // two for each of them, kept for later calls
  std::map<std::string, Entry> ops_;
};

}  // namespace rcnn
