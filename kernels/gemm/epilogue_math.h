// The formula of an epilogue: see kernels/gemm/epilogue.h.
#pragma once

#include "core/host_device.h"
#include "kernels/relu_math.h"

namespace rcnn::kernels {

/// relu(scale * z + bias + residual); a NaN stays a NaN. A term that is absent is given as scale 1, bias 0
/// or residual 0.
template <class T>
RCNN_HOST_DEVICE inline T epilogue_value(T z, T scale, T bias, T residual, bool relu) {
  const T value = z * scale + bias + residual;
  return relu ? rectified(value) : value;
}

}  // namespace rcnn::kernels
