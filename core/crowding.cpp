#include "core/crowding.h"

#include <algorithm>

namespace rcnn {
namespace {

constexpr double kWindow = 0.1;                          // seconds in regions before a decision
constexpr double kFirstPause = 0.25, kLongestPause = 4;  // seconds before all threads are tried again
// A program that wakes up for a moment is no reason, and a thread that waits for its processor to be woken up
// waits this long at most.
constexpr double kShortWait = 2e-4;

}  // namespace

int Crowding::threads(int wanted) const { return trying_all_ ? wanted : std::max(1, wanted - given_up_); }

void Crowding::add_region(int wanted, int threads, double seconds, double waited, Clock::time_point now) {
  if (given_up_ > 0 && !trying_all_ && now >= next_try_) {
    trying_all_ = true;
    seconds_ = waited_ = 0;
    return;
  }
  if (threads == 1) return;  // it is moved to a processor that is free, so there is nothing to learn
  seconds_ += seconds;
  if (waited > kShortWait) waited_ += waited;
  if (seconds_ < kWindow) return;
  // Without one of n threads a region takes n / (n - 1) times as long. It does so as well with a thread that
  // waits for 1 / n of the time.
  const bool crowded = waited_ * threads > seconds_;
  seconds_ = waited_ = 0;
  if (!crowded) {
    if (trying_all_) given_up_ = 0;
    trying_all_ = false;
    return;
  }
  if (trying_all_) {
    trying_all_ = false;
    pause_ = std::min(2 * pause_, kLongestPause);
  } else {
    if (given_up_ == 0) pause_ = kFirstPause;
    given_up_ = std::min(given_up_ + 1, wanted - 1);
  }
  next_try_ = now + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(pause_));
}

}  // namespace rcnn
