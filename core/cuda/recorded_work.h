// Work that records itself: run twice, captured as a CUDA graph the third time, replayed from then on.
//
// A replay costs the host one call, however many kernels the work launches. In exchange, everything that the
// work touches has to stay at its address: the work gets its own Context and its own arena, filled by the two
// runs before the capture, and its inputs have to be tensors that the caller writes to before each run. On
// the CPU, or if recording is turned off, the work simply runs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "core/context.h"
#include "core/cuda/device.h"

namespace rcnn {

/// A number that changes when work that records itself begins and when it ends. What kernels leave beside a
/// tensor for others must not outlive it: a replay writes to tensors without their knowledge, and each replay
/// has to make for itself what it needs.
uint64_t recorded_runs();

class RecordedWork {
 public:
  /// Takes the device, variants, precision, seed and the step tensor from `like`.
  RecordedWork(const Context& like, bool records);

  /// Runs `work` or replays its recording. `work` must do the same every time except for the values in its
  /// tensors, and must not wait for the device. Its outputs stay valid until the next run. What is derived
  /// from weights and kept (packed filters, folded batch normalisation) is recorded only if the work itself
  /// changes the weights, as a training step does; a recorded detection goes on with the weights that it was
  /// recorded with.
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
