#include "train/gradient_tree.h"

#include <algorithm>
#include <functional>
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

int64_t gradient_elements(std::span<const Sgd::Parameter> parameters) {
  int64_t elements = 0;
  for (const Sgd::Parameter& p : parameters)
    if (p.value.has_gradient()) elements += p.value.value().numel();
  return elements;
}

/// Calls `f` with every gradient and its place in `flat`.
template <class F>
void for_each_part(std::span<const Sgd::Parameter> parameters, const Tensor& flat, const F& f) {
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

Tensor flat_gradient(Context& ctx, std::span<const Sgd::Parameter> parameters) {
  const Tensor flat = ctx.empty({gradient_elements(parameters)});
  for_each_part(parameters, flat,
                [](const Tensor& gradient, const Tensor& part) { part.copy_from(gradient); });
  return flat;
}

void set_gradients(std::span<const Sgd::Parameter> parameters, const Tensor& flat) {
  check(flat.numel() == gradient_elements(parameters),
        "the micro-batches of a step have gradients of other parameters: {} elements and {}", flat.numel(),
        gradient_elements(parameters));
  for_each_part(parameters, flat,
                [](const Tensor& gradient, const Tensor& part) { gradient.copy_from(part); });
}

std::vector<RankGroup> groups_of(const World& world, int64_t micro_batches) {
  const int ranks = world.size(), own = world.ranks_per_machine();
  const int here = own == 0 ? ranks : own, machine = world.rank() / here, place = world.rank() % here;
  // The micro-batches of ranks [first, last].
  const auto share_of_ranks = [&](int first, int last) {
    return Share{share_of(micro_batches, first, ranks).begin, share_of(micro_batches, last, ranks).end,
                 micro_batches};
  };
  RankGroup machines_ranks{{}, static_cast<size_t>(place), {}}, others{{}, static_cast<size_t>(machine), {}};
  const auto count_rounds = [](RankGroup& group, const Share& share) {
    group.rounds = std::max(group.rounds, parts_of(share).size());
  };
  for (int i = 0; i < ranks; ++i) count_rounds(machines_ranks, share_of_ranks(i, i));
  for (int i = 0; i < here; ++i) {
    const int rank = machine * here + i;
    machines_ranks.ranks.push_back(rank);
    machines_ranks.shares.push_back(share_of_ranks(rank, rank));
  }
  for (int i = 0; i < ranks / here; ++i) {
    others.ranks.push_back(i * here + place);
    others.shares.push_back(share_of_ranks(i * here, i * here + here - 1));
    count_rounds(others, others.shares.back());
  }
  std::vector<RankGroup> groups;
  for (RankGroup& group : {std::ref(machines_ranks), std::ref(others)})
    if (group.ranks.size() > 1) groups.push_back(std::move(group));
  return groups;
}

SumOverRanks::SumOverRanks(Context& ctx, const World& world, GradientTree own, int64_t micro_batches)
    : ctx_(ctx),
      all_(static_cast<size_t>(world.size())),
      groups_(groups_of(world, micro_batches)),
      tree_(std::move(own)) {
  check(!tree_.parts().empty(), "{} has no gradient to add", world.name_of(world.rank()));
  const Tensor& first = tree_.parts().front().sum;
  check(first.device() == ctx.device, "the gradients to add are on {}, not on {}", first.device().str(),
        ctx.device.str());
}

std::vector<SumOverRanks::Round> SumOverRanks::next() {
  const size_t groups = groups_.size(), stage = stage_++;
  if (stage > 0 && stage <= groups) take_parts();
  if (stage == groups) sum_ = tree_.finish();
  if (stage > groups) {
    sum_ = std::move(whole_.back());
    whole_.pop_back();
  }
  if (stage == 2 * groups) return {};
  return stage < groups ? give_parts(groups_[stage]) : give_sum(groups_[2 * groups - 1 - stage]);
}

/// In round k every rank of the group sends its partial sum number k, to each the elements that it finishes.
std::vector<SumOverRanks::Round> SumOverRanks::give_parts(const RankGroup& group) {
  const auto& own = tree_.parts();
  check(own.size() == parts_of(group.shares[group.me]).size(),
        "gradients of other micro-batches than this rank's are to be added");
  const auto ranks = static_cast<int>(group.ranks.size());
  const int64_t size = own.front().sum.numel();
  const Share mine = share_of(size, static_cast<int>(group.me), ranks);
  std::vector<Round> rounds(group.rounds, {World::Outgoing(all_), World::Incoming(all_)});
  for (int i = 0; i < ranks; ++i) {
    const auto at = static_cast<size_t>(i), rank = static_cast<size_t>(group.ranks[at]);
    auto& parts = received_.emplace_back(parts_of(group.shares[at]));
    for (size_t k = 0; k < parts.size(); ++k) {
      parts[k].sum = at == group.me ? own[k].sum.slice(mine.begin, mine.end) : ctx_.empty({mine.count()});
      if (at != group.me) rounds[k].from[rank] = space_for_part(parts[k].sum, {0, mine.count()});
    }
    if (at == group.me) continue;
    for (size_t k = 0; k < own.size(); ++k)
      rounds[k].to[rank] = bytes_of_part(own[k].sum, share_of(size, i, ranks));
  }
  whole_.push_back(own.front().sum);
  return rounds;
}

void SumOverRanks::take_parts() {
  GradientTree tree;
  for (auto& parts : received_)
    for (PartialSum& part : parts) tree.add(std::move(part));
  received_.clear();
  tree_ = std::move(tree);
}

/// To all of the group, into the memory of what was this rank's first partial sum before.
std::vector<SumOverRanks::Round> SumOverRanks::give_sum(const RankGroup& group) {
  const auto ranks = static_cast<int>(group.ranks.size());
  const Tensor& whole = whole_.back();
  const Share all{0, sum_.numel()};
  std::vector<Round> rounds{{World::Outgoing(all_), World::Incoming(all_)}};
  for (int i = 0; i < ranks; ++i) {
    const auto at = static_cast<size_t>(i), rank = static_cast<size_t>(group.ranks[at]);
    const Share part = share_of(whole.numel(), i, ranks);
    if (at != group.me) {
      rounds[0].to[rank] = bytes_of_part(sum_, all);
      rounds[0].from[rank] = space_for_part(whole, part);
    } else if (const Tensor place = whole.slice(part.begin, part.end); place.raw() != sum_.raw()) {
      place.copy_from(sum_);
    }
  }
  return rounds;
}

Tensor sum_over_ranks(Context& ctx, World& world, GradientTree own, int64_t micro_batches) {
  SumOverRanks sum(ctx, world, std::move(own), micro_batches);
  for (auto rounds = sum.next(); !rounds.empty(); rounds = sum.next())
    for (const auto& [to, from] : rounds) world.exchange_on(ctx.device, to, from);
  return sum.sum();
}

int64_t bytes_of_sum(const World& world, int64_t elements, int64_t micro_batches) {
  const auto size = static_cast<int64_t>(sizeof(float));
  int64_t bytes = 0;
  for (const RankGroup& group : groups_of(world, micro_batches)) {
    const auto ranks = static_cast<int>(group.ranks.size()), me = static_cast<int>(group.me);
    const auto parts = std::ssize(parts_of(group.shares[group.me]));
    const int64_t mine = share_of(elements, me, ranks).count();
    bytes += (parts * (elements - mine) + (ranks - 1) * mine) * size;
    elements = mine;
  }
  return bytes;
}

}  // namespace rcnn
