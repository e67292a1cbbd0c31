#include "core/log.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "core/files/retry.h"

namespace rcnn {
namespace {

std::atomic<int> first_failure{0};

/// Writes past the buffer of the stream, which the C library empties into nowhere if a signal interrupts it.
bool written(std::FILE* out, std::string_view text) {
  const int file = ::fileno(out);
  if (std::fflush(out) != 0 || file < 0) return false;
  while (!text.empty()) {
    const ssize_t size = retried([&] { return ::write(file, text.data(), text.size()); });
    if (size < 0) return false;
    text.remove_prefix(static_cast<size_t>(size));
  }
  return true;
}

}  // namespace

void write_log(std::FILE* out, std::string_view text) {
  errno = 0;
  if (written(out, text)) return;
  int none = 0;
  if (out == stdout) first_failure.compare_exchange_strong(none, errno != 0 ? errno : EIO);
}

std::string log_failure() {
  const int failure = first_failure;
  return failure == 0 ? ""
                      : fmt::format("standard output cannot be written: {}; what it should say is lost",
                                    std::strerror(failure));
}

}  // namespace rcnn
