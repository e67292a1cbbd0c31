// A random balanced sample of matched rows, for the losses of the region proposal network and of the head.
//
// At most batch * positive_fraction positives (matched >= 0) are taken, and negatives (matched == -1) fill
// the rest of the batch. Of each kind, the rows with the smallest pairs (philox(seed, purpose, step, image
// id, row), row) are taken, so the choice depends neither on the device nor on an image's place in its batch.
#pragma once

#include "core/rng.h"
#include "kernels/op.h"

namespace rcnn::kernels {

struct SampleArgs {
  int64_t n = 0, r = 0;              // images, rows per image (fewer than 2^31)
  const int32_t* matched = nullptr;  // (N, R) from match
  int64_t batch = 0;                 // rows to take per image
  float positive_fraction = 0.5f;
  uint64_t seed = 0;
  Purpose purpose = Purpose::test;
  const int32_t* step = nullptr;      // one value, on the device: a captured graph sees it change
  const int32_t* image_id = nullptr;  // (N)
  int32_t* labels = nullptr;          // (N, R): 1 positive, 0 negative, -1 not taken; or null
  // (N, batch) or null: the rows taken, positives first, each kind in the order of the pairs; padded with -1
  int32_t* rows = nullptr;
  int32_t* count = nullptr;  // (N): rows taken
};

Run<SampleArgs> sample_reference;
/// CUDA: narrows the rows down by the first bits of their keys, then ranks the few that are left.
Run<SampleArgs> sample_radix_select;

// clang-format off
inline constexpr Technique<SampleArgs> sample_techniques[] = {
    {"radix_select", on_cuda, sample_radix_select},
    {"reference", on_cpu, sample_reference},
};
// clang-format on
inline constexpr Op sample{"sample", "sample", column<0>(sample_techniques)};

}  // namespace rcnn::kernels
