// The ReLU and its gradient.
#pragma once

#include "core/host_device.h"

namespace rcnn::kernels {

/// A NaN stays one, so that it reaches the loss and is noticed.
template <class T>
RCNN_HOST_DEVICE inline T rectified(T value) {
  return value < 0 ? T(0) : value;
}

/// The gradient in front of the ReLU: `dy` where its output `y` is positive, else 0.
template <class T>
RCNN_HOST_DEVICE inline T relu_gradient(T y, T dy) {
  return y > 0 ? dy : T(0);
}

}  // namespace rcnn::kernels
