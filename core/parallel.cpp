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

#include "core/processors.h"
#include "core/threads.h"

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

/// OMP_NUM_THREADS, or 0 if it does not begin with a positive number.
int threads_of_environment() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  return text ? std::max(0, std::atoi(text)) : 0;
}

int processors_to_run_on() {
#if defined(RCNN_STD_THREADS)
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
#else
  return omp_get_num_procs();
#endif
}

int threads_to_ask_for(int wanted) {
  constexpr int kMaxThreads = 1024;  // libgomp crashes when it is asked for more than the system can start
  if (wanted <= 0) wanted = threads_of_environment();
  if (wanted > 0) return std::min(wanted, kMaxThreads);
  const int processors = processors_to_run_on(), limit = control_group_processors();
  return limit > 0 ? std::min(limit, processors) : processors;
}

#if defined(RCNN_STD_THREADS)
int chosen_threads = 0;
#endif

}  // namespace

#if defined(RCNN_STD_THREADS)

// ThreadSanitizer understands std::thread; it does not understand an OpenMP runtime it was not built with.
int thread_count() { return chosen_threads > 0 ? chosen_threads : threads_to_ask_for(0); }

void set_thread_count(int wanted) { chosen_threads = threads_to_ask_for(wanted); }

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

void set_thread_count(int wanted) {
  // With OMP_DYNAMIC the runtime would choose another number for each region, by the load of the machine.
  omp_set_dynamic(0);
  // libgomp ends the process when it cannot start a thread.
  omp_set_num_threads(1 + count_startable_threads(threads_to_ask_for(wanted) - 1));
  int granted = 1;
#pragma omp parallel
#pragma omp single
  granted = omp_get_num_threads();
  omp_set_num_threads(granted);
}

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
