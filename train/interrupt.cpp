#include "train/interrupt.h"

#include <fmt/format.h>
#include <unistd.h>

#include "core/world.h"

namespace rcnn {
namespace {

volatile std::sig_atomic_t received_signal = 0;
// Not under mpirun: it sends SIGTERM to all processes when it ends a run after a fault, and a second signal
// at once.
volatile std::sig_atomic_t speaks = 1;

extern "C" void record_signal(int signal) {
  if (received_signal != 0) {
    // Raised again after this handler has returned, which ends the process with the right status.
    ::signal(signal, SIG_DFL);
    ::kill(::getpid(), signal);
    return;
  }
  received_signal = signal;
  if (!speaks) return;
  constexpr char kText[] = "\nstopping after this step; press Ctrl-C again to stop at once\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kText, sizeof kText - 1);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  received_signal = 0;
  speaks = is_launched() ? 0 : 1;
  struct sigaction action {};
  action.sa_handler = record_signal;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals[i], &action, &before_[i]);
    if (kSignals[i] == SIGHUP && before_[i].sa_handler == SIG_IGN) ::sigaction(SIGHUP, &before_[i], nullptr);
  }
}

InterruptGuard::~InterruptGuard() {
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
}

int InterruptGuard::signal() { return received_signal; }

std::string resume_hint(const std::string& command_line, bool was_resumed, int processes) {
  return fmt::format("resume with:\n  {}{}{}", processes > 1 ? fmt::format("mpirun -n {} ", processes) : "",
                     command_line, was_resumed ? "" : " --resume");
}

}  // namespace rcnn
