// How long each op takes, where in the model, and how much memory is in use after it.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/context.h"
#include "core/cuda/device.h"
#include "core/op_observer.h"

namespace rcnn {

/// Measures the ops that a context runs during the profile's lifetime. On the CPU that is the time from an
/// op's start to its end. On a GPU the host only queues the work, so an event is put on the stream before and
/// after it; the time between the two includes gaps in which the GPU waits for the host.
class OpProfile : public OpObserver {
 public:
  struct Call {
    const char* op = "";
    const char* variant = "";
    std::string layer = {};  // the context's, unless `describe` knows better
    std::string shape = {};  // as `describe` says it
    double start = 0;        // seconds since the profile began
    double seconds = 0;
    int64_t memory = 0;  // bytes in use on the device when it ended
    int64_t peak = 0;    // the maximum since the call before it ended
    bool timed = true;   // false if what `describe` did makes the time useless
  };
  /// Is called before the clock of a call starts, with the call in hand; sets `layer`, `shape` and `timed`.
  using Describe = std::function<void(const OpCall&, Call&)>;

  /// Resets the device's peak of memory (core/memory.h), now and after every call.
  explicit OpProfile(Context& ctx, Describe describe = {});
  ~OpProfile() override;
  OpProfile(const OpProfile&) = delete;
  OpProfile& operator=(const OpProfile&) = delete;

  /// Completes the calls since the last collect(). On a GPU their work must have finished.
  void collect();
  /// Those that were collected, in order.
  const std::vector<Call>& calls() const { return calls_; }
  void forget_calls() { calls_.clear(); }
  /// Seconds since the profile began.
  double now() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }

  struct Entry {
    double seconds = 0;
    int calls = 0;
  };
  /// By op and variant: "conv2d (tiled)". Holds what was collected.
  std::map<std::string, Entry> ops() const;

  void op_begins(const OpCall& call) override;
  void op_ends(const OpCall& call) override;

 private:
  using Clock = std::chrono::steady_clock;

  Context& ctx_;
  Describe describe_;
  bool on_gpu_;
  Clock::time_point began_, start_;
  Call current_;
  std::vector<Call> running_, calls_;  // since the last collect(), and before it
  std::vector<cuda::Event> events_;    // one at the beginning, and two for each of `running_`, kept for later
};

}  // namespace rcnn
