// The formulas of an epilogue and of its gradient: see kernels/gemm/epilogue.h.
#pragma once

#include "core/host_device.h"

namespace rcnn::kernels {

/// relu(scale * z + bias + residual); a NaN stays a NaN. A term that is absent is given as scale 1, bias 0
/// or residual 0.
template <class T>
RCNN_HOST_DEVICE inline T epilogue_value(T z, T scale, T bias, T residual, bool relu) {
  const T value = z * scale + bias + residual;
  return relu && value < 0 ? T(0) : value;
}

/// The gradient with respect to the input of the ReLU: dy where y > 0, else 0.
template <class T>
RCNN_HOST_DEVICE inline T relu_gradient(T y, T dy) {
  return y > 0 ? dy : T(0);
}

}  // namespace rcnn::kernels
