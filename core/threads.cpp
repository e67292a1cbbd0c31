#include "core/threads.h"

#include <latch>
#include <system_error>

#include "core/error.h"

namespace rcnn {

void start_threads(std::vector<std::thread>& threads, int count, const std::function<void()>& work,
                   const std::function<void()>& stop) {
  threads.reserve(threads.size() + static_cast<size_t>(count));
  try {
    for (int i = 0; i < count; ++i) threads.emplace_back(work);
  } catch (const std::system_error& error) {
    const size_t started = threads.size();
    stop();
    for (std::thread& thread : threads) thread.join();
    threads.clear();
    throw Error(fmt::format("only {} of {} threads could be started: {}; a lower --workers needs fewer",
                            started, count, error.code().message()));
  }
}

int count_startable_threads(int count) {
  std::latch gate(1);
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(count));
  try {
    for (int i = 0; i < count; ++i) threads.emplace_back([&gate] { gate.wait(); });
  } catch (const std::system_error&) {  // as many as there are
  }
  gate.count_down();
  for (std::thread& thread : threads) thread.join();
  return static_cast<int>(threads.size());
}

}  // namespace rcnn
