#include "train/interrupt.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <system_error>
#include <vector>

#include "core/parallel.h"

namespace rcnn {
namespace {

std::atomic<int> received_signal{0};
std::atomic<int64_t> received_at{0};  // in nanoseconds
constexpr int64_t kCountAsOne = 500'000'000;
// Not under mpirun: it sends SIGTERM to all processes when it ends a run after a fault, and a second signal
// at once.
std::atomic<bool> speaks{true};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free &&
              std::atomic<int64_t>::is_always_lock_free);

int64_t nanoseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

extern "C" void record_signal(int signal) {
  if (received_signal != 0) {
    if (nanoseconds() - received_at < kCountAsOne) return;
    // Raised again after this handler has returned, which ends the process with the right status.
    ::signal(signal, SIG_DFL);
    ::kill(::getpid(), signal);
    return;
  }
  received_at = nanoseconds();
  received_signal = signal;
  if (!speaks) return;
  constexpr char kText[] =
      "\nstopping after this step, or this image of an evaluation; press Ctrl-C again to stop at once\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kText, sizeof kText - 1);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  received_signal = 0;
  speaks = !is_launched();
  sigemptyset(&handled_);
  for (const int signal : kSignals) sigaddset(&handled_, signal);
  struct sigaction action {};
  action.sa_handler = record_signal;
  action.sa_flags = SA_RESTART;
  action.sa_mask = handled_;
  for (size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals[i], &action, &before_[i]);
    if (kSignals[i] == SIGHUP && before_[i].sa_handler == SIG_IGN) ::sigaction(SIGHUP, &before_[i], nullptr);
  }
  ::pthread_sigmask(SIG_BLOCK, nullptr, &mask_before_);
  try {
    listener_ = std::thread([handled = handled_, ended = ended_.get_future()] {
      ::pthread_sigmask(SIG_UNBLOCK, &handled, nullptr);
      ended.wait();
    });
  } catch (const std::system_error&) {  // then this thread takes them, among others
    ::pthread_sigmask(SIG_UNBLOCK, &handled_, nullptr);
    return;
  }
  on_every_thread([&] { ::pthread_sigmask(SIG_BLOCK, &handled_, nullptr); });
}

InterruptGuard::~InterruptGuard() {
  if (listener_.joinable())
    on_every_thread([&] { ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr); });
  else
    ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
  if (!listener_.joinable()) return;
  ended_.set_value();
  listener_.join();
}

int InterruptGuard::signal() { return received_signal; }

int signal_of(World& world) {
  const std::vector<int> all = world.of_all(InterruptGuard::signal());
  return *std::max_element(all.begin(), all.end());
}

std::string resume_hint(const std::string& command_line, bool was_resumed, int processes) {
  return fmt::format("resume with:\n  {}{}{}", processes > 1 ? fmt::format("mpirun -n {} ", processes) : "",
                     command_line, was_resumed ? "" : " --resume");
}

}  // namespace rcnn
