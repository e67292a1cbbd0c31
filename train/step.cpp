#include "train/step.h"

#include <array>

#include "kernels/gemm/weights_key.h"
#include "layers/sum.h"
#include "train/step_record.h"

namespace rcnn {
namespace {

/// The tensors of a batch, for iterating over two batches side by side. Scale and proposals may be undefined.
std::array<Tensor*, 9> tensors_of(TrainingBatch& batch) {
  return {
      &batch.images.pixels,          &batch.images.size, &batch.images.scale, &batch.images.proposals.boxes,
      &batch.images.proposals.count, &batch.truth.boxes, &batch.truth.labels, &batch.truth.count,
      &batch.truth.image_id};
}

/// The mean of the losses, term by term, added from the first to the last.
Losses mean_of(Context& ctx, const std::vector<Losses>& all) {
  const double weight = 1.0 / static_cast<double>(all.size());
  Losses mean;
  for (const LossTerm& term : kLosses)
    for (const Losses& losses : all) {
      const Var& loss = losses.*term.value;
      if (!loss.defined()) continue;
      Var& sum = mean.*term.value;
      sum = sum.defined() ? weighted_sum(ctx, {sum, loss}, {1, weight}) : weighted_sum(ctx, {loss}, {weight});
    }
  return mean;
}

}  // namespace

Losses detached_copy(const Losses& losses) {
  Losses copy;
  for (const LossTerm& term : kLosses)
    if (const Var& loss = losses.*term.value; loss.defined()) copy.*term.value = Var(loss.value().clone());
  return copy;
}

void TrainingStep::begin_pass(Context& ctx) const {
  ctx.training = ctx.grad = true;
  if (ctx.device.type != DeviceType::cuda) return;
  std::vector<kernels::WeightsKey> weights;
  for (const Sgd::Parameter& p : sgd_.parameters())
    weights.push_back({p.value.value().storage().id, p.value.value().version()});
  kernels::renew_packed_weights(ctx.stream, ctx.workspace, weights);
}

Losses TrainingStep::pass(Context& ctx, const TrainingBatch& batch) {
  begin_pass(ctx);
  const Losses losses = model_.losses(ctx, batch.images, batch.truth);
  backward(ctx, losses.total);
  sgd_.step(ctx);
  return losses;
}

void TrainingStep::pass_in_turn(std::span<const TrainingBatch> own, int64_t first, StepRecord& record,
                                GradientSum& gradients) {
  for (size_t i = 0; i < own.size(); ++i) {
    ctx_.micro_batch = static_cast<uint32_t>(first + static_cast<int64_t>(i));
    for (const Sgd::Parameter& p : sgd_.parameters()) p.value.clear_gradient();
    record.begin();
    const Losses losses = model_.losses(ctx_, own[i].images, own[i].truth);
    gradients.backward(losses.total);
    record.end(losses);
  }
  ctx_.micro_batch = 0;
}

Losses TrainingStep::run(int64_t step, float learning_rate, std::span<const TrainingBatch> own,
                         int64_t micro_batches) {
  const Share share = world_.share(micro_batches);
  check(!own.empty(), "a training step without a batch");
  check(std::ssize(own) == share.count(), "a training step of {} batches has {} on this rank, found {}",
        micro_batches, share.count(), own.size());
  if (micro_batches == 1) return run(step, learning_rate, own[0]);
  ctx_.step.fill(static_cast<double>(step));
  sgd_.set_learning_rate(learning_rate);
  begin_pass(ctx_);
  GradientSum gradients(ctx_, world_, sgd_.parameters(), micro_batches, bucket_bytes_);
  StepRecord record(ctx_, model_, world_, micro_batches, sync_bn_);
  if (sync_bn_)
    pass_together(own, micro_batches, record, gradients);
  else
    pass_in_turn(own, share.begin, record, gradients);
  gradients.wait();
  // Before the wait for the exchange on GPUs, so that a rank that does not come is missed here, where it is
  // named: GPUs that wait for each other do not tell for which.
  const std::vector<Losses> all = record.of_all_ranks();
  gradients.finish();
  gradient_bytes_.sent += gradients.bytes_sent();
  gradient_bytes_.expected += gradients.bytes_expected();
  sgd_.step(ctx_);
  return mean_of(ctx_, all);
}

Losses TrainingStep::run(int64_t step, float learning_rate, const TrainingBatch& batch) {
  ctx_.step.fill(static_cast<double>(step));
  sgd_.set_learning_rate(learning_rate);
  const Shape& pixels = batch.images.pixels.shape();
  const Tensor& proposals = batch.images.proposals.boxes;
  const Key key{pixels[0], pixels[1], pixels[2], batch.truth.boxes.dim(1),
                proposals.defined() ? proposals.dim(1) : 0};
  const bool known = recorded_.contains(key);
  if (!records_ || ctx_.observer || ctx_.device.type == DeviceType::cpu ||
      (!known && recorded_.size() == kMaxRecorded))
    return detached_copy(pass(ctx_, batch));

  std::unique_ptr<Recorded>& entry = recorded_[key];
  if (!entry) {
    entry = std::make_unique<Recorded>(ctx_, batch);
    for (Tensor* tensor : tensors_of(entry->batch))
      if (tensor->defined()) *tensor = tensor->clone();
  }
  TrainingBatch from = batch;
  const auto sources = tensors_of(from), targets = tensors_of(entry->batch);
  for (size_t i = 0; i < sources.size(); ++i)
    if (sources[i]->defined()) targets[i]->copy_from(*sources[i]);
  entry->work.run([&](Context& ctx) {
    entry->losses = {};  // frees its memory first
    entry->losses = detached_copy(pass(ctx, entry->batch));
  });
  // A replay writes to weights, and to statistics that are trained, without the tensors' knowledge. What was
  // derived from them is stale.
  const bool statistics_move = model_.config.norm == "batch";
  visit_module(
      model_,
      [](const std::string&, Var& value, const Shape&) {
        if (value.requires_grad()) value.value().mark_written();
      },
      [&](const std::string&, Tensor& value) {
        if (statistics_move) value.mark_written();
      });
  return detached_copy(entry->losses);
}

}  // namespace rcnn
