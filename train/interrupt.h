// Stopping a run with Ctrl-C after the current step.
#pragma once

#include <csignal>
#include <stdexcept>

namespace rcnn {

/// Thrown by a run that stopped on request and left a checkpoint. The message says how to resume.
struct Interrupted : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// While this object lives, the first SIGINT or SIGTERM is only recorded; a second one ends the process as
/// usual.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// The signal that was received, or 0.
  static int signal();

 private:
  struct sigaction old_int_ {
  }, old_term_{};
};

}  // namespace rcnn
