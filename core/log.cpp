#include "core/log.h"

#include <atomic>
#include <cerrno>
#include <cstring>

namespace rcnn {
namespace {

std::atomic<int> first_failure{0};

}  // namespace

void write_log(std::FILE* out, std::string_view text) {
  errno = 0;
  const bool written = std::fwrite(text.data(), 1, text.size(), out) == text.size();
  if (std::fflush(out) == 0 && written) return;
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
