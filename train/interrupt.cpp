#include "train/interrupt.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <system_error>

#include "core/parallel.h"
#include "core/world.h"

namespace rcnn {
namespace {

std::atomic<int> received_signal{0};
// Not under mpirun: it sends SIGTERM to all processes when it ends a run after a fault, and a second signal
// at once.
std::atomic<bool> speaks{true};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

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
  speaks = !is_launched();
  struct sigaction action {};
  action.sa_handler = record_signal;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals[i], &action, &before_[i]);
    if (kSignals[i] == SIGHUP && before_[i].sa_handler == SIG_IGN) ::sigaction(SIGHUP, &before_[i], nullptr);
  }
  try {  // before the signals are blocked here, so that they are not blocked there
    listener_ = std::thread([ended = ended_.get_future()] { ended.wait(); });
  } catch (const std::system_error&) {  // then any thread takes them
    return;
  }
  sigset_t blocked;
  sigemptyset(&blocked);
  for (const int signal : kSignals) sigaddset(&blocked, signal);
  ::pthread_sigmask(SIG_BLOCK, nullptr, &mask_before_);
  on_every_thread([&] { ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr); });
}

InterruptGuard::~InterruptGuard() {
  if (listener_.joinable()) on_every_thread([&] { ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr); });
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
  if (!listener_.joinable()) return;
  ended_.set_value();
  listener_.join();
}

int InterruptGuard::signal() { return received_signal; }

std::string resume_hint(const std::string& command_line, bool was_resumed, int processes) {
  return fmt::format("resume with:\n  {}{}{}", processes > 1 ? fmt::format("mpirun -n {} ", processes) : "",
                     command_line, was_resumed ? "" : " --resume");
}

}  // namespace rcnn
