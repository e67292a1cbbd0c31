// How many rows a balanced sample takes, and which.
#pragma once

#include "core/rng.h"

namespace rcnn::kernels {

/// How many rows of each kind are taken from an image.
struct SampleQuota {
  int64_t positives, negatives;
};

/// The quota of an image that has `positives` and `negatives` rows of each kind: positives up to their share
/// of the batch, rounded down, and negatives for the rest.
RCNN_HOST_DEVICE inline SampleQuota sample_quota(int64_t positives, int64_t negatives, int64_t batch,
                                                 float positive_fraction) {
  const int64_t share = static_cast<int64_t>(static_cast<float>(batch) * positive_fraction);
  const int64_t taken = positives < share ? positives : share;
  return {taken, negatives < batch - taken ? negatives : batch - taken};
}

/// The pair (random number, row) by which rows are chosen, as one integer.
RCNN_HOST_DEVICE inline uint64_t sample_key(uint64_t seed, Purpose purpose, int32_t step, int32_t image_id,
                                            int64_t row) {
  const uint32_t index = static_cast<uint32_t>(row);
  const uint32_t random =
      philox(seed, purpose, static_cast<uint32_t>(step), static_cast<uint32_t>(image_id), index);
  return static_cast<uint64_t>(random) << 32 | index;
}

}  // namespace rcnn::kernels
