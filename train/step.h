// One training step: forward, backward, SGD.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <tuple>

#include "core/cuda/recorded_work.h"
#include "models/faster_rcnn.h"
#include "train/batch.h"
#include "train/sgd.h"

namespace rcnn {

class TrainingStep {
 public:
  /// With `records`, a step on a GPU is captured as a CUDA graph, one for every shape of batch, up to
  /// kMaxRecorded of them; batches of further shapes run as they are.
  TrainingStep(Context& ctx, FasterRcnn& model, Sgd& sgd, bool records)
      : ctx_(ctx), model_(model), sgd_(sgd), records_(records) {}

  /// Step number `step` on this batch. The losses are values without a graph behind them, on the device.
  Losses run(int64_t step, float learning_rate, const TrainingBatch& batch);
  /// One step on several batches, of which only one at a time needs memory for its pass: the gradient and the
  /// losses are the means over the batches'. It is the step on all images at once but for batch statistics,
  /// which are each batch's own, and for the losses' divisors (anchors and RoIs sampled, by batch). With more
  /// than one batch it is not recorded: the first batch of a step writes gradients, the others add to them.
  Losses run(int64_t step, float learning_rate, std::span<const TrainingBatch> batches);

  static constexpr size_t kMaxRecorded = 8;

 private:
  /// The inputs and outputs of a recorded step, which stay where they are.
  struct Recorded {
    Recorded(const Context& like, const TrainingBatch& shapes) : work(like, true), batch(shapes) {}
    RecordedWork work;
    TrainingBatch batch;
    Losses losses;
  };
  /// Images, height, width, capacity for boxes and for proposals.
  using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t>;

  Losses pass(Context& ctx, const TrainingBatch& batch);

  Context& ctx_;
  FasterRcnn& model_;
  Sgd& sgd_;
  bool records_;
  std::map<Key, std::unique_ptr<Recorded>> recorded_;
};

/// The losses as values that later work does not change.
Losses detached_copy(const Losses& losses);

}  // namespace rcnn
