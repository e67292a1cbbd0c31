#include "core/parallel.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#if !defined(RCNN_STD_THREADS)
#include <omp.h>
#include <time.h>
#endif

#include "core/crowding.h"
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
#else
thread_local Crowding crowding;       // of the regions that this thread begins
thread_local int forced_threads = 0;  // by FewerThreads

double seconds_since(Crowding::Clock::time_point start) {
  return std::chrono::duration<double>(Crowding::Clock::now() - start).count();
}

/// How long the calling thread has used a processor.
double processor_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}
#endif

}  // namespace

#if defined(RCNN_STD_THREADS)

// ThreadSanitizer understands std::thread; it does not understand an OpenMP runtime it was not built with.
int thread_count() { return chosen_threads > 0 ? chosen_threads : threads_to_ask_for(0); }

void set_thread_count(int wanted) { chosen_threads = threads_to_ask_for(wanted); }

int threads_at_work() { return thread_count(); }
FewerThreads::FewerThreads(int) {}
FewerThreads::~FewerThreads() = default;

void with_threads(int, const std::function<void()>& body) { body(); }

void on_every_thread(const std::function<void()>& body) { body(); }  // it starts the others for each region

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

int threads_at_work() {
  return forced_threads > 0 ? std::min(forced_threads, thread_count()) : crowding.threads(thread_count());
}

FewerThreads::FewerThreads(int threads) { forced_threads = threads; }
FewerThreads::~FewerThreads() { forced_threads = 0; }

void with_threads(int threads, const std::function<void()>& body) {
  struct Restore {
    int threads = thread_count();
    ~Restore() { omp_set_num_threads(threads); }
  } restore;
  omp_set_num_threads(threads);
  body();
}

void on_every_thread(const std::function<void()>& body) {
#pragma omp parallel num_threads(thread_count())
  body();
}

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
  const int wanted = thread_count(), threads = threads_at_work();
  const auto start = Crowding::Clock::now();
  double waited = 0;  // seconds in which the slowest thread had no processor
#pragma omp parallel num_threads(threads) reduction(max : waited)
  {
    const double before = processor_seconds();
#pragma omp for schedule(dynamic, 1) nowait
    for (int64_t chunk = 0; chunk < chunks; ++chunk) first.guard(chunk, [&] { body(chunk); });
    waited = seconds_since(start) - (processor_seconds() - before);
  }
  if (wanted > 1) {
    const auto now = Crowding::Clock::now();
    crowding.add_region(wanted, threads, std::chrono::duration<double>(now - start).count(), waited, now);
  }
  first.rethrow();
}

#endif

void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  parallel_chunks((n + grain - 1) / grain,
                  [&](int64_t chunk) { body(chunk * grain, std::min(n, (chunk + 1) * grain)); });
}

}  // namespace rcnn
