// The sum of a step's gradients over its micro-batches and the ranks, of which the exchange goes on during
// backward.
//
// The parameters are cut into buckets, from the last to the first, because backward finishes the gradients of
// the last layers first. During backward of a rank's last micro-batch, as soon as the gradients of a bucket
// are complete and the buckets before it have begun, its gradients are copied and added to the tree of the
// micro-batches (train/gradient_tree.h), and the exchange of its partial sums begins. It goes on between the
// nodes of backward. All of this is per element, so neither the buckets nor the time at which messages come
// change a bit.
//
// On GPUs that are linked (World::link_devices) the exchange of a bucket, with its sums, is put on a second
// stream, where it begins when the gradients of the bucket are there; the host waits for none of it before
// the end of the step. Without a link there is one bucket, exchanged after backward: its bytes go through the
// memory of the host, which would have to wait for the GPU.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/autograd.h"
#include "core/context.h"
#include "core/world.h"
#include "train/gradient_tree.h"
#include "train/sgd.h"

namespace rcnn {

/// The size of a bucket: large enough that the time of a message does not count, small enough that the last
/// one, which cannot be hidden behind backward, is a small part of the whole.
inline constexpr int64_t kBucketBytes = 25'000'000;

/// Cuts the parameters into contiguous buckets of at most so many bytes, or of one parameter that is larger,
/// the last parameters first. All ranks cut alike.
std::vector<std::span<const Sgd::Parameter>> buckets_of(std::span<const Sgd::Parameter> parameters,
                                                        int64_t bucket_bytes);

class GradientSum {
 public:
  /// For a step of so many micro-batches, of all ranks. The parameters must not move until it is destroyed.
  GradientSum(Context& ctx, World& world, std::span<const Sgd::Parameter> parameters, int64_t micro_batches,
              int64_t bucket_bytes = kBucketBytes);

  /// Walks back from loss / micro_batches and adds the gradients of the parameters, which must have been
  /// cleared. Call it for each micro-batch of this rank, in their order.
  void backward(const Var& loss);
  /// Instead of `backward`: takes the gradients of a micro-batch from `leaves`, which stand for the
  /// parameters in their order.
  void add(std::span<const Sgd::Parameter> leaves);
  /// Waits for the exchanges that have begun, except for those of GPUs. Throws LostRank.
  void wait();
  /// Makes the sum over all micro-batches the gradient of the parameters. Call it last, on all ranks.
  void finish();

  /// What this rank has sent to others, and what the formula says (bytes_of_sum); once it is finished.
  int64_t bytes_sent() const { return bytes_sent_; }
  int64_t bytes_expected() const;

 private:
  struct Bucket {
    std::span<const Sgd::Parameter> parameters;
    size_t incomplete;       // gradients that backward has not finished
    GradientTree tree = {};  // of this rank's micro-batches
    int64_t elements = 0;    // of its gradients
    int stages = 0;          // that have begun
    bool is_done = false;    // the gradients are the sum
    std::shared_ptr<SumOverRanks> sum = {};
    std::vector<std::unique_ptr<World::OpenExchange>> open = {};
    std::vector<PartialSum> kept = {};  // memory of the work stream that the second stream still uses
  };

  void check_next() const;
  void add(Bucket& bucket, std::span<const Sgd::Parameter> leaves);
  void begin(size_t bucket);
  void begin_beside(Bucket& bucket);
  void begin_complete_ones();
  void go_on(size_t bucket);
  void poll(size_t bucket);
  void set(Bucket& bucket, const Tensor& sum);

  Context& ctx_;
  World& world_;
  std::span<const Sgd::Parameter> parameters_;
  Share share_;
  int64_t next_;               // the number of the next micro-batch
  bool overlaps_, is_linked_;  // is_linked_: GPUs are
  std::vector<Bucket> buckets_;
  size_t begun_ = 0;               // buckets
  std::vector<Var> leaves_;        // all parameters, bucket by bucket ...
  std::vector<size_t> bucket_of_;  // ... and the bucket of each
  int64_t bytes_sent_ = 0;
};

}  // namespace rcnn
