#include "core/parallel.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#if !defined(RCNN_STD_THREADS)
#include <omp.h>
#endif

namespace rcnn {
namespace {

/// Keeps the exception of the lowest chunk that threw.
class FirstException {
 public:
  template <class F>
  void guard(int64_t chunk, F&& f) {
    try {
      f();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (chunk < chunk_) {
        chunk_ = chunk;
        exception_ = std::current_exception();
      }
    }
  }
  void rethrow() {
    if (exception_) std::rethrow_exception(exception_);
  }

 private:
  std::mutex mutex_;
  int64_t chunk_ = std::numeric_limits<int64_t>::max();
  std::exception_ptr exception_;
};

}  // namespace

#if defined(RCNN_STD_THREADS)

// ThreadSanitizer understands std::thread; it does not understand an OpenMP runtime it was not built with.
int thread_count() {
  const char* wanted = std::getenv("OMP_NUM_THREADS");
  const int number = wanted ? std::atoi(wanted) : 0;
  return number > 0 ? number : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void parallel_chunks(int64_t chunks, const std::function<void(int64_t)>& body) {
  FirstException first;
  std::atomic<int64_t> next{0};
  const auto work = [&] {
    for (int64_t chunk = next++; chunk < chunks; chunk = next++) first.guard(chunk, [&] { body(chunk); });
  };
  std::vector<std::thread> threads;
  for (int64_t i = 1; i < std::min<int64_t>(thread_count(), chunks); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  first.rethrow();
}

#else

int thread_count() { return omp_get_max_threads(); }

void parallel_chunks(int64_t chunks, const std::function<void(int64_t)>& body) {
  if (chunks <= 1) {
    if (chunks == 1) body(0);
    return;
  }
  FirstException first;
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t chunk = 0; chunk < chunks; ++chunk) first.guard(chunk, [&] { body(chunk); });
  first.rethrow();
}

#endif

void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  parallel_chunks((n + grain - 1) / grain,
                  [&](int64_t chunk) { body(chunk * grain, std::min(n, (chunk + 1) * grain)); });
}

}  // namespace rcnn
