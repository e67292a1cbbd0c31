#include "core/memory_limit.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>

#include "core/error.h"

namespace rcnn {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

char crash_text[200];

extern "C" void report_crash(int) {
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, crash_text, std::strlen(crash_text));
  ::_exit(1);
}

/// The bytes that the process has mapped.
uint64_t mapped() {
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

uint64_t address_limit() {
  static const uint64_t kLimit = [] {
    rlimit limit{};
    return ::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? uint64_t{limit.rlim_cur}
                                                                                  : 0;
  }();
  return kLimit;
}

void require_addresses(size_t bytes, const char* what) {
  if (address_limit() == 0) return;
  void* const room = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room != MAP_FAILED) {
    ::munmap(room, bytes);
    return;
  }
  const uint64_t used = std::min(mapped(), address_limit());
  throw Error(fmt::format(
      "out of memory: {} needs {} MiB, and {} MiB are left of the {} MiB of addresses that this "
      "process may use (ulimit -v); a lower --threads, --workers, --batch or --short-side needs less",
      what, bytes / kMiB, (address_limit() - used) / kMiB, address_limit() / kMiB));
}

void prepare_for_limit() {
  if (address_limit() == 0) return;
  // One heap for all threads: each of its own would take 64 MiB of addresses, and 128 for a moment, just when
  // oneDNN's code generator may want some.
  ::mallopt(M_ARENA_MAX, 1);
  const std::string text = fmt::format(
      "rcnn: the program crashed, most likely out of memory: it may use {} MiB of addresses "
      "(ulimit -v)\n",
      address_limit() / kMiB);
  text.copy(crash_text, sizeof crash_text - 1);
  for (const int signal : {SIGSEGV, SIGBUS, SIGABRT}) {
    struct sigaction action {};
    action.sa_handler = report_crash;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(signal, &action, nullptr);
  }
}

}  // namespace rcnn
