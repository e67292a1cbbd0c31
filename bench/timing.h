// Measures how long work takes, on the CPU and on a GPU.
#pragma once

#include <functional>
#include <vector>

#include "core/context.h"

namespace rcnn {

/// The middle value; for an even number of values, the upper of the middle two. Requires at least one value.
double median(std::vector<double> values);

struct Timing {
  double seconds = 0;  // of one run, the median of several measurements
  bool graph = false;  // measured as the replay of a CUDA graph
};

/// Runs `work` once as a warm-up, which touches memory and makes plans, then as often as fits in `budget`
/// seconds, but at least three times.
Timing time_on_cpu(const std::function<void()>& work, double budget);

/// The same for work that is queued on the context's stream. Events are recorded before and after batches of
/// runs, which are long enough to hide the launch latency. A batch is replayed as a CUDA graph, as a
/// detection is; work that cannot be captured is queued again each time. Caches are not cleared between runs.
Timing time_on_gpu(const Context& ctx, const std::function<void()>& work, double budget);

/// Seconds of one run whose operands are in no cache: before each run a buffer larger than the L2 cache is
/// overwritten, which is not timed. The median of as many runs as fit in `budget` seconds, but at least
/// three.
double time_on_gpu_cold(const Context& ctx, const std::function<void()>& work, double budget);

}  // namespace rcnn
