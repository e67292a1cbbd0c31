// The sum of the gradients of a step's micro-batches, in an order that does not depend on how many processes
// there are.
//
// Sums of floats depend on their order, so the order is part of the result: a binary tree over the number of
// the micro-batch. The sum of 8 is ((0+1)+(2+3))+((4+5)+(6+7)); the sum of 7 lacks the last leaf:
//
//     0 1   2 3   4 5   6
//     \ /   \ /   \ /   |      two neighbours of equal size are added when the second is there;
//      +     +     +    |      what is left at the end is added from the right: (4+5) + 6,
//       \   /       \  /       then (0..3) + (4..6)
//        \ /         \/
//         +----------+
//
// A process that has every micro-batch adds as they come and keeps at most log2(M) + 1 partial sums. A
// process that has some of them adds those that are neighbours in the tree, sends each part of its partial
// sums to the process that owns the part, and the owner goes on with the same tree.
//
// With several processes on each of several machines the processes of a machine do this first, which makes
// the partial sums of the machine, and then those that own the same part on each machine: so each partial sum
// of a machine leaves it once, not once from each of its processes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/context.h"
#include "core/world.h"
#include "train/sgd.h"

namespace rcnn {

/// The sum of the gradients of micro-batches [begin, begin + size).
struct PartialSum {
  int64_t begin = 0, size = 1;
  Tensor sum;  // may be undefined, if only the shape of the tree is asked for
};

class GradientTree {
 public:
  /// Takes the sum that follows those before, and adds up what are neighbours in the tree. Writes to it.
  void add(PartialSum next);
  /// The partial sums so far, from left to right.
  const std::vector<PartialSum>& parts() const { return parts_; }
  /// The sum of everything that was added.
  Tensor finish();

 private:
  std::vector<PartialSum> parts_;
};

/// The partial sums, without tensors, of a process that has these micro-batches.
std::vector<PartialSum> parts_of(const Share& share);

/// A copy of the gradients of all parameters that have one, in one tensor (elements).
Tensor flat_gradient(Context& ctx, std::span<const Sgd::Parameter> parameters);
/// Replaces them by the elements of `flat`.
void set_gradients(std::span<const Sgd::Parameter> parameters, const Tensor& flat);

/// Some of the ranks, which exchange among themselves.
struct RankGroup {
  std::vector<int> ranks;
  size_t me = 0;              // this rank's place among them
  std::vector<Share> shares;  // the micro-batches whose gradients each of them has added up
  size_t rounds = 0;          // the maximum number of partial sums, also of the groups beside it
};
/// The groups in which this rank exchanges a sum, one after the other, and back in reverse: the ranks of its
/// machine, then those at its place on all machines. Where the machines do not have the same number of ranks,
/// or the ranks of one do not follow each other, one group of all ranks. A group has at least two ranks.
std::vector<RankGroup> groups_of(const World& world, int64_t micro_batches);

/// The sum over all micro-batches of the step, as exchanges with work between them:
///
///     for (auto rounds = sum.next(); !rounds.empty(); rounds = sum.next())
///       for (auto& [to, from] : rounds) world.exchange(to, from);
class SumOverRanks {
 public:
  /// `own` has the gradients of this rank's share of `micro_batches`, at least one.
  SumOverRanks(Context& ctx, const World& world, GradientTree own, int64_t micro_batches);

  struct Round {
    World::Outgoing to;
    World::Incoming from;
  };
  /// Adds what the exchanges before have brought, and returns the next ones, which may go on side by side.
  /// None: the sum is complete.
  std::vector<Round> next();
  /// On every rank the same bits, whatever the number of ranks.
  const Tensor& sum() const { return sum_; }

 private:
  std::vector<Round> give_parts(const RankGroup& group);
  void take_parts();
  std::vector<Round> give_sum(const RankGroup& group);

  Context& ctx_;
  size_t all_;  // ranks
  std::vector<RankGroup> groups_;
  size_t stage_ = 0;                               // exchanges of parts, one per group, then of sums
  GradientTree tree_;                              // partial sums of this rank's part of the elements so far
  std::vector<std::vector<PartialSum>> received_;  // from each rank of a group
  std::vector<Tensor> whole_;  // of each group: memory for its part of the elements, for the way back
  Tensor sum_;                 // of this rank's part so far
};

/// The sum over all micro-batches of the step, on every rank the same bits, whatever the number of ranks:
/// `own` has those of this rank's share of `micro_batches`.
Tensor sum_over_ranks(Context& ctx, World& world, GradientTree own, int64_t micro_batches);

/// The bytes that this rank sends for a sum of so many elements. In a group of N ranks, rank r has P_r
/// partial sums of G bytes and finishes G_r of them, so this is P_r (G - G_r) + (N - 1) G_r; if N and M are
/// powers of two, 2 (N - 1) / N G, as in a ring. The next group does the same with G_r.
int64_t bytes_of_sum(const World& world, int64_t elements, int64_t micro_batches);

}  // namespace rcnn
