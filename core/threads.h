// Threads of the same work that are started together.
#pragma once

#include <functional>
#include <thread>
#include <vector>

namespace rcnn {

/// Starts `count` threads that run `work` and adds them to `threads`. If the system refuses one (a limit of
/// processes or of memory), calls `stop`, which must make `work` return, waits for those that have begun, and
/// throws Error, which says how many could be started.
void start_threads(std::vector<std::thread>& threads, int count, const std::function<void()>& work,
                   const std::function<void()>& stop);

/// How many of `count` threads can run at the same time, besides this one.
int count_startable_threads(int count);

}  // namespace rcnn
