// Sorting lists of 64-bit keys on the GPU, for ops that put boxes in order: see kernels/boxes/score_order.h
// for the keys.
#pragma once

#include <cstdint>

#include "core/context.h"

namespace rcnn::kernels {

/// Sorts `lists` lists of `length` keys each, one behind the other, in ascending order. Returns where the
/// sorted lists stand: in `keys` or in the workspace, the other holds nothing of use. Lists of equal keys are
/// allowed. Fewer than 2^31 keys.
uint64_t* sort_keys(const Stream& stream, Workspace& workspace, int64_t lists, int64_t length,
                    uint64_t* keys);

}  // namespace rcnn::kernels
