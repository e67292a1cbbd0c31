// Stopping a run after the current step, or between two images of an evaluation: with Ctrl-C, by `kill`, or
// because the terminal was closed. SIGUSR1 is the signal that mpirun and Slurm pass on to every process.
#pragma once

#include <array>
#include <csignal>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>

#include "core/world.h"

namespace rcnn {

/// Thrown by a run that stopped on request and left a checkpoint. The message says how to resume.
struct Interrupted : std::runtime_error {
  Interrupted(const std::string& message, int number) : std::runtime_error(message), signal(number) {}
  int signal;
};

/// "resume with:" and, on a line of its own, the command that goes on with a run of so many processes, which
/// was started with `command_line`.
std::string resume_hint(const std::string& command_line, bool was_resumed, int processes);

/// While this object lives, the first SIGINT, SIGTERM, SIGHUP or SIGUSR1 is only recorded; a second one, the
/// same or another, ends the process at once, unless it comes within half a second of the first: `timeout`
/// of GNU sends its signal to the process and then to its group, so that the process gets it twice. The two
/// are microseconds apart, or some tens of milliseconds if the processors are busy; a person who wants to end
/// a run at once presses again after half a second at the latest. A SIGHUP that is ignored when the object is
/// made (nohup) stays ignored; a SIGINT that is ignored (a shell's `&`) is not. Signals that the process was
/// started with blocked are received.
///
/// A thread of its own takes the signals, and the threads that run ops block them. oneDNN's matrix product
/// for AVX2 and AVX-512 moves the stack pointer to a block of the heap (issue 4845 of oneDNN; up to 3.11),
/// and the system writes the frame of a signal handler below the stack pointer: over whatever lies before
/// that block.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// The signal that was received while a guard lived, or 0. A new guard forgets it.
  static int signal();

 private:
  static constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
  std::array<struct sigaction, kSignals.size()> before_{};
  sigset_t handled_{}, mask_before_{};
  std::promise<void> ended_;
  std::thread listener_;  // none if the system refuses it
};

/// The signal that one of the ranks has received, the same on all of them, or 0. Every rank must call it.
int signal_of(World& world);

}  // namespace rcnn
