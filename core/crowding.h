// How many threads an op uses while other programs want the same processors.
//
// A parallel region lasts as long as its slowest thread. If a busy program shares the processor of one of
// them, that thread gets about half of its time, and the others wait for it. On two cores a region then takes
// more than twice as long as alone, and longer than with one thread, which the system keeps on the other
// core. So while threads have to wait for a processor, ops use fewer of them.
//
// Results do not depend on it: our ops cut their work by its size alone, and oneDNN runs with fewer threads
// only where that gives the same bits (kernels/gemm/onednn.h).
#pragma once

#include <chrono>

namespace rcnn {

/// Chooses the number of threads of a region by how long those before it had to wait for a processor.
class Crowding {
 public:
  using Clock = std::chrono::steady_clock;

  /// The number of threads for the next region, of `wanted` that it may have.
  int threads(int wanted) const;

  /// Takes note of a region that ran with `threads` of `wanted` threads and ended at `now`. It took
  /// `seconds`, and the thread that waited longest for a processor did so for `waited` seconds.
  void add_region(int wanted, int threads, double seconds, double waited, Clock::time_point now);

 private:
  int given_up_ = 0;                 // threads that are not used
  bool trying_all_ = false;          // to see whether there is room again
  double seconds_ = 0, waited_ = 0;  // of the regions since the last decision
  double pause_ = 0;                 // seconds until all threads are tried again
  Clock::time_point next_try_{};
};

}  // namespace rcnn
