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
#pragma once

#include <cstdint>
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
Tensor flat_gradient(Context& ctx, const std::vector<Sgd::Parameter>& parameters);
/// Replaces them by the elements of `flat`.
void set_gradients(const std::vector<Sgd::Parameter>& parameters, const Tensor& flat);

/// The sum over all micro-batches of the step, on every rank the same bits, whatever the number of ranks:
/// `own` has those of this rank's share of `micro_batches`.
Tensor sum_over_ranks(Context& ctx, World& world, GradientTree own, int64_t micro_batches);

/// The bytes that this rank sends for a sum of so many elements. Rank r has P_r partial sums and finishes G_r
/// of the G bytes, so this is P_r (G - G_r) + (N - 1) G_r; if N and M are powers of two, 2 (N - 1) / N G, as
/// in a ring.
int64_t bytes_of_sum(const World& world, int64_t elements, int64_t micro_batches);

}  // namespace rcnn
