// Ctrl-C that ends a run in order.
#pragma once

#include <csignal>
#include <stdexcept>

namespace rcnn {

/// A run that was asked to stop and did, leaving a checkpoint; says how to go on.
struct Interrupted : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// While it lives, the first SIGINT or SIGTERM is remembered; a second one ends the process as ever.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// The signal that came, or 0.
  static int signal();

 private:
  struct sigaction old_int_ {
  }, old_term_{};
};

}  // namespace rcnn
