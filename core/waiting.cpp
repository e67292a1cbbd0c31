#include "core/waiting.h"

#if defined(__linux__) && !defined(RCNN_STD_THREADS)
#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace rcnn {
namespace {

/// The number of looks that libgomp takes in `kSpinMicroseconds`. It pauses the processor after each, which
/// takes from 1 ns (arm64, where it does not pause) to 54 ns (Intel's Skylake).
long spin_count() {
  using Clock = std::chrono::steady_clock;
  constexpr int kLooks = 500;
  const std::atomic<int> nothing{0};
  double seconds = 1;
  for (int repeat = 0; repeat < 5; ++repeat) {  // the shortest: the others were interrupted
    const auto start = Clock::now();
    for (int look = 0; look < kLooks && nothing.load(std::memory_order_acquire) == 0; ++look) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
    seconds = std::min(seconds, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return std::clamp(std::lround(kSpinMicroseconds * 1e-6 * kLooks / seconds), 100L, 100'000L);
}

bool is_traced() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("TracerPid:")) return line.find_first_of("123456789") != std::string::npos;
  return false;
}

}  // namespace

void sleep_soon_when_waiting(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  // The file that was started. It is not the one that runs under valgrind, another processor's emulation, or
  // an explicitly named dynamic loader, where the same arguments would start something else.
  const auto* file = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  std::error_code none;
  if (!file || !std::filesystem::equivalent("/proc/self/exe", file, none) || is_traced()) return;
  if (::setenv("GOMP_SPINCOUNT", std::to_string(spin_count()).c_str(), 1) != 0) return;
  ::execv(file, argv);
  ::unsetenv("GOMP_SPINCOUNT");  // the start failed: this process goes on, with libgomp's own waiting
}

}  // namespace rcnn

#else
void rcnn::sleep_soon_when_waiting(char**) {}
#endif
