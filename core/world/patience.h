// How long a rank waits for others.
#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

namespace rcnn {

/// Between two looks at what it waits for, a rank rests:
///
///     for (Patience patience(seconds); !has_come(); )
///       if (!patience.rest()) give_up();
class Patience {
 public:
  /// 0: for ever.
  explicit Patience(double seconds) : seconds_(seconds) {}

  /// Rests for a moment. False if the time is over.
  bool rest() {
    const auto now = Clock::now();
    waited_ += std::min<Clock::duration>(now - before_, kLongestLook);
    before_ = now;
    if (seconds_ > 0 && std::chrono::duration<double>(waited_).count() > seconds_) return false;
    if (waited_ < kEager)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(kNap);
    return true;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kEager{2};  // looks again at once for so long, then after naps
  static constexpr std::chrono::microseconds kNap{50};
  // A job that was suspended as a whole (SIGSTOP) has not waited in that time: a look that comes late counts
  // as this much.
  static constexpr std::chrono::milliseconds kLongestLook{500};

  double seconds_;
  Clock::duration waited_{0};
  Clock::time_point before_ = Clock::now();
};

}  // namespace rcnn
