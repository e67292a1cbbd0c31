#include "train/interrupt.h"

#include <unistd.h>

namespace rcnn {
namespace {

volatile std::sig_atomic_t signal_that_came = 0;

extern "C" void remember(int signal) {
  signal_that_came = signal;
  constexpr char kText[] = "\nstopping after this step; a second time stops at once\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kText, sizeof kText - 1);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  signal_that_came = 0;
  struct sigaction action {};
  action.sa_handler = remember;
  action.sa_flags = SA_RESETHAND | SA_RESTART;
  ::sigaction(SIGINT, &action, &old_int_);
  ::sigaction(SIGTERM, &action, &old_term_);
}

InterruptGuard::~InterruptGuard() {
  ::sigaction(SIGINT, &old_int_, nullptr);
  ::sigaction(SIGTERM, &old_term_, nullptr);
}

int InterruptGuard::signal() { return signal_that_came; }

}  // namespace rcnn
