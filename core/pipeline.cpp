#include "core/pipeline.h"

#include "core/threads.h"

namespace rcnn {

BackgroundThreads::BackgroundThreads(int threads) {
  start_threads(
      threads_, threads, [this] { work(); }, [this] { stop(); });
}

BackgroundThreads::~BackgroundThreads() {
  stop();
  for (std::thread& thread : threads_) thread.join();
}

void BackgroundThreads::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wanted_.notify_all();
}

void BackgroundThreads::add(std::packaged_task<void()> job) {
  if (threads_.empty()) return job();
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  wanted_.notify_one();
}

void BackgroundThreads::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wanted_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (stop_) return;
    std::packaged_task<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = {};  // what it holds may be large
    lock.lock();
  }
}

}  // namespace rcnn
