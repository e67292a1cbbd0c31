// Sorts lists of 64-bit keys on the GPU, for ops that put boxes in order. kernels/boxes/score_order.h makes
// the keys.
#pragma once

#include <cstdint>

#include "core/context.h"

namespace rcnn::kernels {

/// Sorts `lists` lists of `length` keys each, stored one after another, in ascending order. Returns the
/// sorted lists, which are in `keys` or in memory of the workspace; in the latter case the contents of `keys`
/// are unspecified. Keys may be equal. There must be fewer than 2^31 keys.
uint64_t* sort_keys(const Stream& stream, Workspace& workspace, int64_t lists, int64_t length,
                    uint64_t* keys);

}  // namespace rcnn::kernels
