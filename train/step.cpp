#include "train/step.h"

#include <array>

#include "layers/sum.h"

namespace rcnn {
namespace {

/// The tensors of a batch, for iterating over two batches side by side. Scale and proposals may be undefined.
std::array<Tensor*, 9> tensors_of(TrainingBatch& batch) {
  return {
      &batch.images.pixels,          &batch.images.size, &batch.images.scale, &batch.images.proposals.boxes,
      &batch.images.proposals.count, &batch.truth.boxes, &batch.truth.labels, &batch.truth.count,
      &batch.truth.image_id};
}

/// Term by term, sum + weight * losses, or weight * losses if there is no sum yet.
Losses weighted_sum(Context& ctx, const Losses& sum, const Losses& losses, double weight) {
  Losses result;
  for (const LossTerm& term : kLosses) {
    const Var &before = sum.*term.value, &loss = losses.*term.value;
    if (!loss.defined()) continue;
    const Var value(loss.value());
    result.*term.value = before.defined() ? rcnn::weighted_sum(ctx, {before, value}, {1, weight})
                                          : rcnn::weighted_sum(ctx, {value}, {weight});
  }
  return result;
}

}  // namespace

Losses detached_copy(const Losses& losses) {
  Losses copy;
  for (const LossTerm& term : kLosses)
    if (const Var& loss = losses.*term.value; loss.defined()) copy.*term.value = Var(loss.value().clone());
  return copy;
}

Losses TrainingStep::pass(Context& ctx, const TrainingBatch& batch) {
  ctx.training = ctx.grad = true;
  const Losses losses = model_.losses(ctx, batch.images, batch.truth);
  backward(ctx, losses.total);
  sgd_.step(ctx);
  return losses;
}

Losses TrainingStep::run(int64_t step, float learning_rate, std::span<const TrainingBatch> batches) {
  check(!batches.empty(), "a training step without a batch");
  if (batches.size() == 1) return run(step, learning_rate, batches[0]);
  ctx_.step.fill(static_cast<double>(step));
  sgd_.set_learning_rate(learning_rate);
  ctx_.training = ctx_.grad = true;
  const double weight = 1.0 / static_cast<double>(batches.size());
  Losses sum;
  for (size_t i = 0; i < batches.size(); ++i) {
    const TrainingBatch& batch = batches[i];
    ctx_.micro_batch = static_cast<uint32_t>(i);
    const Losses losses = model_.losses(ctx_, batch.images, batch.truth);
    backward(ctx_, losses.total, weight);
    sum = weighted_sum(ctx_, sum, losses, weight);
  }
  ctx_.micro_batch = 0;
  sgd_.step(ctx_);
  return sum;
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
  // A replay writes to weights and statistics without the tensors' knowledge. What was derived from them is
  // stale.
  visit_module(
      model_, [](const std::string&, Var& value, const Shape&) { value.value().mark_written(); },
      [](const std::string&, Tensor& value) { value.mark_written(); });
  return detached_copy(entry->losses);
}

}  // namespace rcnn
