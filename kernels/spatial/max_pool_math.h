// The rule that chooses a maximum, which max pooling and RoI pooling share, and the windows of max pooling.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace rcnn::kernels {

/// Whether `candidate`, visited after `best`, replaces it. Of equal values the first one stays; a NaN
/// replaces every number, so that it shows in the output.
template <class T>
RCNN_HOST_DEVICE inline bool exceeds(T candidate, T best) {
  return candidate > best || candidate != candidate;
}

/// The part [begin, end) of a pooling window that lies on the axis.
struct PoolWindow {
  int begin, end;
};

/// Window `out` on an axis of `size` pixels.
RCNN_HOST_DEVICE inline PoolWindow pool_window(int64_t out, int64_t size, int kernel, int stride, int pad) {
  const int start = static_cast<int>(out) * stride - pad, end = start + kernel;
  return {start < 0 ? 0 : start, end < size ? end : static_cast<int>(size)};
}

}  // namespace rcnn::kernels
