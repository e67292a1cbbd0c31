// What becomes of one element.
#pragma once

#include "kernels/elementwise/dropout.h"

namespace rcnn::kernels {

/// Element `index` after dropout in step `step`: forward of x, and backward of dy.
template <class T>
RCNN_HOST_DEVICE inline T after_dropout(T value, const DropoutKey& key, int32_t step, int64_t index) {
  const uint32_t random = philox(key.seed, Purpose::dropout, static_cast<uint32_t>(step), key.layer,
                                 static_cast<uint32_t>(index));
  return to_unit_float(random) < key.p ? T(0) : value / (T(1) - static_cast<T>(key.p));
}

}  // namespace rcnn::kernels
