// Stopping a run after the current step: with Ctrl-C, by `kill`, or because the terminal was closed.
#pragma once

#include <array>
#include <csignal>
#include <stdexcept>

namespace rcnn {

/// Thrown by a run that stopped on request and left a checkpoint. The message says how to resume.
struct Interrupted : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// While this object lives, the first SIGINT, SIGTERM or SIGHUP is only recorded; a second one, the same or
/// another, ends the process at once. A SIGHUP that is ignored when the object is made (nohup) stays ignored.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// The signal that was received, or 0.
  static int signal();

 private:
  static constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, kSignals.size()> before_{};
};

}  // namespace rcnn
