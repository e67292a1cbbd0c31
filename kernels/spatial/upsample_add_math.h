// Which pixel of the coarse map a pixel of the fine map reads: floor(i TH / H).
#pragma once

#include "core/host_device.h"

namespace rcnn::kernels {

/// The coarse row (or column) that fine row i reads, on maps of `top_size` and `size` rows.
template <class Int>
RCNN_HOST_DEVICE inline Int upsample_source(Int i, Int size, Int top_size) {
  return i * top_size / size;
}

/// The first fine row that reads coarse row r or a later one: ceil(r size / top_size).
template <class Int>
RCNN_HOST_DEVICE inline Int upsample_first(Int r, Int size, Int top_size) {
  return (r * size + top_size - 1) / top_size;
}

}  // namespace rcnn::kernels
