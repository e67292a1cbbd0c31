// Items that pass through three stages at the same time: background threads prepare the next ones and finish
// the last ones while the calling thread uses one. Everything that can be seen keeps the order of the items.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <future>
#include <iterator>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace rcnn {

/// Threads that run tasks in the order in which they are given. Without a thread, `run` itself runs the task.
class BackgroundThreads {
 public:
  /// Throws Error if the system does not start as many.
  explicit BackgroundThreads(int threads);
  /// Drops the tasks that have not begun, and waits for the others.
  ~BackgroundThreads();
  BackgroundThreads(const BackgroundThreads&) = delete;
  BackgroundThreads& operator=(const BackgroundThreads&) = delete;

  /// The future of what `task()` returns or throws.
  template <class Task>
  auto run(Task task) {
    std::packaged_task<std::invoke_result_t<Task>()> job(std::move(task));
    auto result = job.get_future();
    add(std::packaged_task<void()>([job = std::move(job)]() mutable { job(); }));
    return result;
  }

 private:
  void add(std::packaged_task<void()> job);
  void work();
  void stop();

  std::mutex mutex_;
  std::condition_variable wanted_;
  std::deque<std::packaged_task<void()>> jobs_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

/// The maximum number of items that `run_pipeline` holds at a time, from the start of `prepare` to the end of
/// `report`.
constexpr int64_t max_in_pipeline(int threads) { return 2 * int64_t{threads} + 1; }

/// For each i in [0, count), in this order:
///
///     auto prepared = prepare(i);                       // on one of `threads` background threads
///     auto used = use(i, std::move(prepared));          // on the calling thread
///     auto finished = finish(i, std::move(used));       // on a background thread
///     report(i, std::move(finished));                   // on the calling thread
///
/// `use` and `report` are called in the order of i; `prepare` runs up to `threads` items ahead, and `finish`
/// up to as many behind. Without a thread everything happens on the calling thread, one item after the other.
///
/// An exception ends the run when the turn of its item comes: the items before it are reported, those after
/// it are not, and it is rethrown. If several items fail, it is the exception of the first.
template <class Prepare, class Use, class Finish, class Report>
void run_pipeline(int64_t count, int threads, const Prepare& prepare, const Use& use, const Finish& finish,
                  const Report& report) {
  using Prepared = std::invoke_result_t<const Prepare&, int64_t>;
  using Used = std::invoke_result_t<const Use&, int64_t, Prepared>;
  using Finished = std::invoke_result_t<const Finish&, int64_t, Used>;
  std::deque<std::future<Prepared>> coming;
  std::deque<std::future<Finished>> going;
  BackgroundThreads background(threads);

  int64_t next_to_prepare = 0, next_to_report = 0;
  const auto report_first = [&] {
    Finished finished = going.front().get();
    going.pop_front();
    report(next_to_report++, std::move(finished));
  };
  const auto first_is_finished = [&] {
    return going.front().wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  };

  for (int64_t i = 0; i < count; ++i) {
    while (!going.empty() && (std::ssize(going) > threads || first_is_finished())) report_first();
    for (; next_to_prepare < count && next_to_prepare <= i + threads; ++next_to_prepare)
      coming.push_back(background.run([&prepare, n = next_to_prepare] { return prepare(n); }));
    try {
      Prepared prepared = coming.front().get();
      coming.pop_front();
      going.push_back(background.run(
          [&finish, i, used = use(i, std::move(prepared))]() mutable { return finish(i, std::move(used)); }));
    } catch (...) {  // takes the place of the item, so that the items before it are reported first
      std::promise<Finished> failed;
      failed.set_exception(std::current_exception());
      going.push_back(failed.get_future());
      break;
    }
  }
  while (!going.empty()) report_first();
}

}  // namespace rcnn
