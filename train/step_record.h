// What each micro-batch of a step leaves besides its gradient: losses, and changes of running statistics.
#pragma once

#include <vector>

#include "core/context.h"
#include "core/world.h"
#include "models/faster_rcnn.h"

namespace rcnn {

/// The running statistics of the batch normalisations that are trained: the others (see ConvNorm) do not move
/// theirs.
std::vector<Tensor> moved_statistics(FasterRcnn& model);

/// The rows of all ranks, (rows, n), given those of this rank's share of so many, at least one, of n values
/// each. On their device.
Tensor rows_of_all_ranks(World& world, const std::vector<Tensor>& own, int64_t rows);

/// Call begin() before and end() after each micro-batch of this rank, then of_all_ranks() once.
///
/// One process moves the running statistics of batch normalisation with every micro-batch: running = (1 - m)
/// running + m batch. With several ranks they are set to 0 before each micro-batch, so that they are m batch
/// after it; of_all_ranks() then repeats the sums in the order of the micro-batches, with the same bits. (In
/// training no layer reads the statistics that it moves.) If batch normalisation is `synchronised`, every
/// rank moves them once, by the same numbers, and nothing is repeated.
class StepRecord {
 public:
  StepRecord(Context& ctx, FasterRcnn& model, World& world, int64_t micro_batches, bool synchronised = false);
  void begin();
  void end(const Losses& losses);
  /// The losses of all micro-batches of the step, on the context's device.
  std::vector<Losses> of_all_ranks();

 private:
  int64_t values() const;  // of one micro-batch: losses and changes
  void move_statistics(const Tensor& changes);

  Context& ctx_;
  World& world_;
  int64_t micro_batches_;
  std::vector<Losses> losses_;      // of this rank
  std::vector<Tensor> statistics_;  // that training moves; empty with one rank
  std::vector<Tensor> before_;      // their values at the beginning of the step
  std::vector<Tensor> records_;     // (values), on the host
};

}  // namespace rcnn
