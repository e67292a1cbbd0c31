// Work that records itself: run twice, captured as a CUDA graph the third time, replayed from then on.
//
// What a replay costs the host is one call, however many kernels the work has. In exchange everything it
// touches has to stay where it was: it gets a Context and an arena of its own, filled by the two runs before
// the capture, and its inputs have to be tensors that the caller writes to before each run. On the CPU, and
// where recording is not wanted, the work simply runs.
#pragma once

#include <functional>
#include <memory>

#include "core/context.h"
#include "core/cuda/device.h"

namespace rcnn {

class RecordedWork {
 public:
  /// Takes device, variants, precision, seed and the step's tensor from `like`.
  RecordedWork(const Context& like, bool records);

  /// Runs `work`, or starts its recording. It must do the same every time but for the values in its tensors,
  /// must not wait for the device, and what it leaves behind (its outputs) stays valid until the next run.
  void run(const std::function<void(Context&)>& work);

  bool recorded() const { return graph_.captured(); }

 private:
  bool records_;
  int runs_ = 0;
  std::shared_ptr<cuda::Arena> arena_;  // null on the CPU
  std::unique_ptr<Context> context_;
  cuda::Graph graph_;
};

}  // namespace rcnn
