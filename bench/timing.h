// How long something takes, on the CPU and on a GPU.
#pragma once

#include <functional>
#include <vector>

#include "core/context.h"

namespace rcnn {

/// The value in the middle. Of an even number the upper of the two; there must be one at least.
double median(std::vector<double> values);

struct Timing {
  double seconds = 0;  // of one run, the median of several measurements
  bool graph = false;  // measured as the replay of a CUDA graph
};

/// Runs `work` once, so that memory is touched and plans are made, then as often as fits in `budget` seconds,
/// at least three times.
Timing time_on_cpu(const std::function<void()>& work, double budget);

/// The same for work that is queued on the context's stream: events stand around batches of runs, which are
/// long enough to hide how long a launch takes. A batch is replayed as a CUDA graph, as a detection is; work
/// that cannot be captured is queued anew each time. Caches hold whatever the run before left in them.
Timing time_on_gpu(const Context& ctx, const std::function<void()>& work, double budget);

}  // namespace rcnn
