#include "train/step_record.h"

#include <iterator>
#include <set>
#include <string>

#include "kernels/norm/batch_norm_math.h"

namespace rcnn {
namespace {

constexpr auto kTerms = static_cast<int64_t>(std::size(kLosses));

}  // namespace

Tensor rows_of_all_ranks(World& world, const std::vector<Tensor>& own, int64_t rows) {
  const Tensor& first = own.front();
  const Tensor all = Tensor::empty({rows, first.numel()}, first.dtype(), first.device());
  const Share mine = world.share(rows);
  for (size_t i = 0; i < own.size(); ++i) {
    const int64_t row = mine.begin + static_cast<int64_t>(i);
    all.slice(row, row + 1).copy_from(own[i]);
  }
  if (world.size() == 1) return all;
  World::Incoming from;
  for (int rank = 0; rank < world.size(); ++rank) {
    const Share share = share_of(rows, rank, world.size());
    const Tensor part = all.slice(share.begin, share.end);
    from.emplace_back(static_cast<std::byte*>(part.mutable_raw()), part.bytes());
  }
  const auto me = static_cast<size_t>(world.rank());
  World::Outgoing to(from.size(), from[me]);
  to[me] = {};
  from[me] = {};
  world.exchange_on(first.device(), to, from);
  return all;
}

std::vector<Tensor> moved_statistics(FasterRcnn& model) {
  std::set<std::string> trained;  // prefixes of normalisations
  std::vector<Tensor> found;
  const auto prefix = [](const std::string& name) { return name.substr(0, name.rfind('.') + 1); };
  visit_module(
      model,
      [&](const std::string& name, Var& value, const Shape&) {
        if (value.requires_grad() && name.ends_with(".weight")) trained.insert(prefix(name));
      },
      [&](const std::string& name, Tensor& value) {
        if (trained.contains(prefix(name))) found.push_back(value);
      });
  return found;
}

StepRecord::StepRecord(Context& ctx, FasterRcnn& model, World& world, int64_t micro_batches,
                       bool synchronised)
    : ctx_(ctx), world_(world), micro_batches_(micro_batches) {
  if (world.size() == 1 || synchronised) return;
  statistics_ = moved_statistics(model);
  for (const Tensor& t : statistics_) before_.push_back(t.clone());
}

int64_t StepRecord::values() const {
  int64_t count = kTerms;
  for (const Tensor& t : statistics_) count += t.numel();
  return count;
}

void StepRecord::begin() {
  for (const Tensor& t : statistics_) t.fill(0);
}

void StepRecord::end(const Losses& losses) {
  Losses& kept = losses_.emplace_back();
  for (const LossTerm& term : kLosses)
    if (const Var& loss = losses.*term.value; loss.defined()) kept.*term.value = Var(loss.value());
  if (world_.size() == 1) return;
  const Tensor record = ctx_.zeros({values()});
  for (int64_t i = 0; i < kTerms; ++i)
    if (const Var& loss = kept.*kLosses[i].value; loss.defined())
      record.slice(i, i + 1).copy_from(loss.value());
  int64_t at = kTerms;
  for (const Tensor& t : statistics_) {
    record.slice(at, at + t.numel()).copy_from(t);
    at += t.numel();
  }
  records_.push_back(record.to(Device{}));
}

std::vector<Losses> StepRecord::of_all_ranks() {
  if (world_.size() == 1) return losses_;
  const Tensor all = rows_of_all_ranks(world_, records_, micro_batches_);
  move_statistics(all);
  const Tensor values_here = all.to(ctx_.device);
  std::vector<Losses> losses(static_cast<size_t>(micro_batches_));
  for (int64_t row = 0; row < micro_batches_; ++row) {
    const Tensor record = values_here.slice(row, row + 1).reshape({values()});
    for (int64_t i = 0; i < kTerms; ++i)
      if ((losses_.front().*kLosses[i].value).defined())
        losses[static_cast<size_t>(row)].*kLosses[i].value = Var(record.slice(i, i + 1).reshape({}));
  }
  return losses;
}

/// Once for each micro-batch, as the kernels would have.
void StepRecord::move_statistics(const Tensor& all) {
  int64_t at = kTerms;
  for (size_t k = 0; k < statistics_.size(); ++k) {
    const Tensor running = before_[k].to(Device{});
    const auto values_of = running.mutable_values<float>();
    for (int64_t row = 0; row < micro_batches_; ++row) {
      const float* change = all.data<float>() + row * values() + at;
      for (size_t i = 0; i < values_of.size(); ++i)
        values_of[i] = kernels::moved(values_of[i], BatchNorm{}.momentum, change[i]);
    }
    statistics_[k].copy_from(running.to(ctx_.device));
    at += running.numel();
  }
}

}  // namespace rcnn
