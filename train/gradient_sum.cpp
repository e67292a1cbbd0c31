#include "train/gradient_sum.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/cuda/device.h"

namespace rcnn {

std::vector<std::span<const Sgd::Parameter>> buckets_of(std::span<const Sgd::Parameter> parameters,
                                                        int64_t bucket_bytes) {
  std::vector<std::span<const Sgd::Parameter>> buckets;
  int64_t bytes = 0;
  size_t end = parameters.size();
  for (size_t i = end; i-- > 0;) {
    const auto size = static_cast<int64_t>(parameters[i].value.value().bytes());
    if (i + 1 < end && size > bucket_bytes - bytes) {
      buckets.push_back(parameters.subspan(i + 1, end - i - 1));
      end = i + 1;
      bytes = 0;
    }
    bytes += size;
  }
  if (end > 0) buckets.push_back(parameters.first(end));
  return buckets;
}

GradientSum::GradientSum(Context& ctx, World& world, std::span<const Sgd::Parameter> parameters,
                         int64_t micro_batches, int64_t bucket_bytes)
    : ctx_(ctx),
      world_(world),
      parameters_(parameters),
      share_(world.share(micro_batches)),
      next_(share_.begin),
      overlaps_(world.size() > 1 && (ctx.device.type == DeviceType::cpu || world.has_device_link())),
      is_linked_(overlaps_ && ctx.device.type != DeviceType::cpu) {
  if (!overlaps_) bucket_bytes = std::numeric_limits<int64_t>::max();
  for (const auto& bucket : buckets_of(parameters, bucket_bytes)) {
    for (const Sgd::Parameter& p : bucket) {
      leaves_.push_back(p.value);
      bucket_of_.push_back(buckets_.size());
    }
    buckets_.push_back({bucket, bucket.size()});
  }
}

void GradientSum::check_next() const {
  check(next_ < share_.end, "a step of {} micro-batches was given one more than this rank's {}", share_.of,
        share_.count());
}

void GradientSum::backward(const Var& loss) {
  check_next();
  const double weight = 1.0 / static_cast<double>(share_.of);
  if (overlaps_ && next_ + 1 == share_.end) {
    rcnn::backward(ctx_, loss, weight, leaves_, [this](std::span<const size_t> leaves) {
      for (const size_t leaf : leaves) --buckets_[bucket_of_[leaf]].incomplete;
      begin_complete_ones();
      if (is_linked_) return;
      for (size_t i = 0; i < begun_; ++i) poll(i);
    });
  } else {
    rcnn::backward(ctx_, loss, weight);
    for (Bucket& bucket : buckets_) add(bucket, bucket.parameters);
  }
  ++next_;
}

void GradientSum::add(std::span<const Sgd::Parameter> leaves) {
  check_next();
  check(leaves.size() == parameters_.size(), "{} leaves for {} parameters", leaves.size(),
        parameters_.size());
  for (Bucket& bucket : buckets_) {
    const auto first = static_cast<size_t>(bucket.parameters.data() - parameters_.data());
    add(bucket, leaves.subspan(first, bucket.parameters.size()));
  }
  if (++next_ != share_.end || !overlaps_) return;
  for (; begun_ < buckets_.size(); ++begun_) begin(begun_);
}

/// The gradients of micro-batch next_.
void GradientSum::add(Bucket& bucket, std::span<const Sgd::Parameter> leaves) {
  const Tensor flat = flat_gradient(ctx_, leaves);
  bucket.elements = flat.numel();
  bucket.tree.add({next_, 1, flat});
}

void GradientSum::begin_complete_ones() {
  for (; begun_ < buckets_.size() && buckets_[begun_].incomplete == 0; ++begun_) {
    add(buckets_[begun_], buckets_[begun_].parameters);
    begin(begun_);
  }
}

/// All of this rank's micro-batches are in its tree.
void GradientSum::begin(size_t number) {
  Bucket& bucket = buckets_[number];
  bucket.is_done = bucket.elements == 0;
  if (bucket.is_done) return;
  if (is_linked_) return begin_beside(bucket);
  bucket.sum = std::make_shared<SumOverRanks>(ctx_, world_, std::exchange(bucket.tree, {}), share_.of);
  go_on(number);
}

/// Puts the whole sum on the second stream. All ranks do so in the order of the buckets.
void GradientSum::begin_beside(Bucket& bucket) {
  const cuda::SideWork beside(ctx_.device);
  bucket.kept = bucket.tree.parts();
  bucket.sum = std::make_shared<SumOverRanks>(ctx_, world_, std::exchange(bucket.tree, {}), share_.of);
  bytes_sent_ -= world_.bytes_sent();
  for (auto rounds = bucket.sum->next(); !rounds.empty(); rounds = bucket.sum->next())
    for (const auto& [to, from] : rounds) world_.begin_exchange_on(ctx_.device, to, from);
  bytes_sent_ += world_.bytes_sent();
}

/// What was open has ended: begins what follows.
void GradientSum::go_on(size_t number) {
  constexpr int kMaxStages = 4;  // twice the groups of ranks
  Bucket& bucket = buckets_[number];
  bucket.open.clear();
  const auto rounds = bucket.sum->next();
  if (rounds.empty()) {
    set(bucket, bucket.sum->sum());
    bucket.sum.reset();
    return;
  }
  const int channel = static_cast<int>(number) * kMaxStages + bucket.stages++;
  bytes_sent_ -= world_.bytes_sent();
  for (const auto& [to, from] : rounds)
    bucket.open.push_back(world_.begin_exchange(channel, to, from, bucket.sum));
  bytes_sent_ += world_.bytes_sent();
}

void GradientSum::poll(size_t number) {
  Bucket& bucket = buckets_[number];
  while (!bucket.is_done) {
    bool ended = true;
    for (const auto& exchange : bucket.open) ended &= exchange->poll();
    if (!ended) return;
    go_on(number);
  }
}

void GradientSum::wait() {
  if (is_linked_) return;
  for (size_t i = 0; i < begun_; ++i) {
    const auto poll_the_others = [&] {
      for (size_t k = i + 1; k < begun_; ++k) poll(k);
    };
    while (!buckets_[i].is_done) {
      for (const auto& exchange : buckets_[i].open) exchange->finish(poll_the_others);
      go_on(i);
    }
  }
}

void GradientSum::finish() {
  check(next_ == share_.end, "{} of this rank's {} micro-batches have a gradient", next_ - share_.begin,
        share_.count());
  wait();
  if (is_linked_) {
    {
      const cuda::SideWork beside(ctx_.device);
      world_.finish_exchanges_on(ctx_.device);
    }
    for (Bucket& bucket : buckets_) {
      if (!bucket.is_done) set(bucket, bucket.sum->sum());
      bucket.sum.reset();
      bucket.kept.clear();
    }
  }
  if (overlaps_) return;
  bytes_sent_ -= world_.bytes_sent();
  for (Bucket& bucket : buckets_)
    set(bucket, sum_over_ranks(ctx_, world_, std::exchange(bucket.tree, {}), share_.of));
  bytes_sent_ += world_.bytes_sent();
}

void GradientSum::set(Bucket& bucket, const Tensor& sum) {
  set_gradients(bucket.parameters, sum);
  bucket.is_done = true;
}

int64_t GradientSum::bytes_expected() const {
  int64_t bytes = 0;
  for (const Bucket& bucket : buckets_) bytes += bytes_of_sum(world_, bucket.elements, share_.of);
  return bytes;
}

}  // namespace rcnn
