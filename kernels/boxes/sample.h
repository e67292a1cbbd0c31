// A random balanced sample of matched rows, for the losses of the region proposal network and of the head.
//
// At most batch * positive_fraction positives (matched >= 0) are taken, and negatives (matched == -1) to fill
// the batch. Of each kind those are taken whose pair (philox(seed, purpose, step, image id, row), row) is
// smallest: the choice depends neither on the device nor on an image's place in its batch.
#pragma once

#include "core/rng.h"
#include "kernels/op.h"

namespace rcnn::kernels {

struct SampleArgs {
  int64_t n, r;            // images, rows an image (fewer than 2^31)
  const int32_t* matched;  // (N, R) from match
  int64_t batch;           // rows to take in an image
  float positive_fraction;
  uint64_t seed;
  Purpose purpose;
  const int32_t* step;      // one value, on the device: a captured graph sees it change
  const int32_t* image_id;  // (N)
  int32_t* labels;          // (N, R): 1 positive, 0 negative, -1 not taken; or null
  int32_t* rows;            // (N, batch): the rows taken, positives first, each kind in the order of the
                            // pairs, -1 pads; or null
  int32_t* count;           // (N): rows taken
};

void sample_reference(const Stream&, Workspace&, const SampleArgs& a);
/// CUDA: narrows the rows down by the first bits of their keys, then ranks the few that are left.
void sample_radix_select(const Stream&, Workspace&, const SampleArgs& a);

inline constexpr Variant<SampleArgs> sample_variants[] = {
    OnCuda{"radix_select", sample_radix_select},
    {DeviceType::cpu, "reference", sample_reference},
};
inline constexpr Op<SampleArgs> sample{"sample", "sample", sample_variants};

}  // namespace rcnn::kernels
