// Formulas that the normalisations share.
#pragma once

#include "core/host_device.h"

namespace rcnn::kernels {

/// ReLU. A NaN stays a NaN, so that it reaches the loss and is noticed.
template <class T>
RCNN_HOST_DEVICE inline T rectified(T value) {
  return value < 0 ? T(0) : value;
}

/// ReLU backward: `dy` where the output `y` is positive.
template <class T>
RCNN_HOST_DEVICE inline T gated(T y, T dy) {
  return y > 0 ? dy : T(0);
}

/// The normalised value with its scale and bias. The mean is subtracted first: scale x - scale mean would
/// suffer from cancellation if the mean is large.
template <class T>
RCNN_HOST_DEVICE inline T normalized(T x, T mean, T scale, T bias) {
  return (x - mean) * scale + bias;
}

}  // namespace rcnn::kernels
