// One training step: forward, backward, SGD.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <tuple>

#include "core/cuda/recorded_work.h"
#include "core/world.h"
#include "models/faster_rcnn.h"
#include "train/batch.h"
#include "train/gradient_sum.h"
#include "train/passes_together.h"
#include "train/sgd.h"

namespace rcnn {

class StepRecord;

class TrainingStep {
 public:
  /// With `records`, a step on a GPU is captured as a CUDA graph, one per shape of batch and at most
  /// kMaxRecorded of them; batches of further shapes run without a graph. With `sync_bn`, trained batch
  /// normalisation uses the statistics of all batches of a step. With several ranks the gradients are
  /// exchanged in buckets of this size.
  TrainingStep(Context& ctx, FasterRcnn& model, Sgd& sgd, bool records, World& world = alone(),
               bool sync_bn = false, int64_t bucket_bytes = kBucketBytes)
      : ctx_(ctx),
        model_(model),
        sgd_(sgd),
        records_(records),
        world_(world),
        sync_bn_(sync_bn),
        bucket_bytes_(bucket_bytes) {}

  /// Takes step number `step` on this batch. The losses are on the device and not part of an autograd graph.
  Losses run(int64_t step, float learning_rate, const TrainingBatch& batch);
  /// Takes one step on `micro_batches` batches, of which `own` are those of this rank's share, one after the
  /// other, so that only one of them needs memory for its pass. The gradient and the losses are the means
  /// over the batches, and have the same bits for any number of ranks: gradients are added by a GradientSum,
  /// losses in the order of the batches, and running statistics are moved in that order too. The result is
  /// that of one step on all images, except that batch statistics and the divisors of the losses (sampled
  /// anchors and RoIs) are those of each batch. With more than one batch the step is not captured. With
  /// `sync_bn` the batches of a rank are in memory together, batch statistics are those of all images, each
  /// element counting the same, and the running statistics move once.
  Losses run(int64_t step, float learning_rate, std::span<const TrainingBatch> own, int64_t micro_batches);
  /// The same with all batches on this rank.
  Losses run(int64_t step, float learning_rate, std::span<const TrainingBatch> batches) {
    return run(step, learning_rate, batches, std::ssize(batches));
  }

  /// What this rank has sent to others for gradients in all steps, in bytes: counted, and by the formula.
  struct GradientBytes {
    int64_t sent = 0, expected = 0;
  };
  const GradientBytes& gradient_bytes() const { return gradient_bytes_; }

  static constexpr size_t kMaxRecorded = 8;

 private:
  /// The inputs and outputs of a captured step, which must keep their addresses.
  struct Recorded {
    Recorded(const Context& like, const TrainingBatch& shapes) : work(like, true), batch(shapes) {}
    RecordedWork work;
    TrainingBatch batch;
    Losses losses;
  };
  /// Images, height, width, capacity for boxes, capacity for proposals.
  using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t>;

  /// What comes before the batches of a step: on a GPU all weights that SGD has changed are packed at once.
  void begin_pass(Context& ctx) const;
  Losses pass(Context& ctx, const TrainingBatch& batch);
  /// Forward and backward of this rank's batches, the first of which has this number in the step.
  void pass_in_turn(std::span<const TrainingBatch> own, int64_t first, StepRecord& record,
                    GradientSum& gradients);
  /// The same, side by side, with synchronised batch normalisation.
  void pass_together(std::span<const TrainingBatch> own, int64_t micro_batches, StepRecord& record,
                     GradientSum& gradients);

  Context& ctx_;
  FasterRcnn& model_;
  Sgd& sgd_;
  bool records_;
  World& world_;
  bool sync_bn_;
  int64_t bucket_bytes_;
  std::unique_ptr<PassesTogether> together_;  // with sync_bn, of steps of that many batches
  GradientBytes gradient_bytes_;
  std::map<Key, std::unique_ptr<Recorded>> recorded_;
};

/// A copy of the losses that later work does not change.
Losses detached_copy(const Losses& losses);

}  // namespace rcnn
