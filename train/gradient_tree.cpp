#include "train/gradient_tree.h"

#include <algorithm>
#include <span>
#include <utility>

#include "core/autograd.h"

namespace rcnn {
namespace {

/// left += right.
void add_to(PartialSum& left, const PartialSum& right) {
  left.size += right.size;
  if (left.sum.defined()) GradientTarget{left.sum, Accumulate::yes}.put(right.sum);
}

/// Whether two partial sums that follow each other are the two children of a node.
bool are_children(const PartialSum& left, const PartialSum& right) {
  return left.size == right.size && left.begin % (2 * left.size) == 0;
}

int64_t gradient_elements(const std::vector<Sgd::Parameter>& parameters) {
  int64_t elements = 0;
  for (const Sgd::Parameter& p : parameters)
    if (p.value.has_gradient()) elements += p.value.value().numel();
  return elements;
}

/// Calls `f` with every gradient and its place in `flat`.
template <class F>
void for_each_part(const std::vector<Sgd::Parameter>& parameters, const Tensor& flat, const F& f) {
  int64_t at = 0;
  for (const Sgd::Parameter& p : parameters) {
    if (!p.value.has_gradient()) continue;
    const Tensor& gradient = p.value.gradient();
    f(gradient, flat.slice(at, at + gradient.numel()));
    at += gradient.numel();
  }
}

/// Both on the tensor's device.
std::span<const std::byte> bytes_of_part(const Tensor& flat, const Share& part) {
  const Tensor found = flat.slice(part.begin, part.end);
  return {static_cast<const std::byte*>(found.raw()), found.bytes()};
}

std::span<std::byte> space_for_part(const Tensor& flat, const Share& part) {
  const Tensor found = flat.slice(part.begin, part.end);
  return {static_cast<std::byte*>(found.mutable_raw()), found.bytes()};
}

}  // namespace

void GradientTree::add(PartialSum next) {
  check(parts_.empty() || parts_.back().begin + parts_.back().size == next.begin,
        "the gradient of micro-batch {} was added out of turn", next.begin);
  while (!parts_.empty() && are_children(parts_.back(), next)) {
    add_to(parts_.back(), next);
    next = std::move(parts_.back());
    parts_.pop_back();
  }
  parts_.push_back(std::move(next));
}

Tensor GradientTree::finish() {
  check(!parts_.empty(), "a sum of no gradients");
  for (; parts_.size() > 1; parts_.pop_back()) add_to(parts_[parts_.size() - 2], parts_.back());
  return parts_.front().sum;
}

std::vector<PartialSum> parts_of(const Share& share) {
  GradientTree tree;
  for (int64_t i = share.begin; i < share.end; ++i) tree.add({i, 1, {}});
  return tree.parts();
}

Tensor flat_gradient(Context& ctx, const std::vector<Sgd::Parameter>& parameters) {
  const Tensor flat = ctx.empty({gradient_elements(parameters)});
  for_each_part(parameters, flat,
                [](const Tensor& gradient, const Tensor& part) { part.copy_from(gradient); });
  return flat;
}

void set_gradients(const std::vector<Sgd::Parameter>& parameters, const Tensor& flat) {
  check(flat.numel() == gradient_elements(parameters),
        "the micro-batches of a step have gradients of other parameters: {} elements and {}", flat.numel(),
        gradient_elements(parameters));
  for_each_part(parameters, flat,
                [](const Tensor& gradient, const Tensor& part) { gradient.copy_from(part); });
}

Tensor sum_over_ranks(Context& ctx, World& world, GradientTree own, int64_t micro_batches) {
  if (world.size() == 1) return own.finish();
  const auto ranks = static_cast<size_t>(world.size());
  const Tensor& first = own.parts().front().sum;
  check(first.device() == ctx.device, "the gradients to add are on {}, not on {}", first.device().str(),
        ctx.device.str());
  const int64_t size = first.numel();
  std::vector<Share> owned;  // the elements whose sum a rank finishes
  std::vector<std::vector<PartialSum>> received(ranks);
  const Share mine = world.share(size);
  size_t rounds = 0;
  for (int rank = 0; rank < world.size(); ++rank) {
    owned.push_back(share_of(size, rank, world.size()));
    auto& parts = received[static_cast<size_t>(rank)] = parts_of(share_of(micro_batches, rank, world.size()));
    for (PartialSum& part : parts) part.sum = ctx.empty({mine.count()});
    rounds = std::max(rounds, parts.size());
  }
  // In round k every rank sends its partial sum number k, to each owner the owner's elements.
  for (size_t k = 0; k < rounds; ++k) {
    World::Outgoing to(ranks);
    World::Incoming from(ranks);
    for (size_t r = 0; r < ranks; ++r) {
      if (k < own.parts().size()) to[r] = bytes_of_part(own.parts()[k].sum, owned[r]);
      if (k < received[r].size()) from[r] = space_for_part(received[r][k].sum, {0, mine.count()});
    }
    world.exchange_on(ctx.device, to, from);
  }
  own = {};
  GradientTree tree;
  for (auto& parts : received)
    for (PartialSum& part : parts) tree.add(std::move(part));
  const Tensor finished = tree.finish(), whole = ctx.empty({size});
  World::Incoming from(ranks);
  for (size_t r = 0; r < ranks; ++r) from[r] = space_for_part(whole, owned[r]);
  world.exchange_on(ctx.device, World::Outgoing(ranks, bytes_of_part(finished, {0, mine.count()})), from);
  return whole;
}

int64_t bytes_of_sum(const World& world, int64_t elements, int64_t micro_batches) {
  const auto parts = std::ssize(parts_of(world.share(micro_batches)));
  const auto size = static_cast<int64_t>(sizeof(float));
  const int64_t all = elements * size, mine = world.share(elements).count() * size;
  return parts * (all - mine) + (world.size() - 1) * mine;
}

}  // namespace rcnn
