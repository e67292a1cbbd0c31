// Formulas that the normalisations share.
#pragma once

#include "core/host_device.h"
#include "kernels/relu_math.h"

namespace rcnn::kernels {

/// The normalised value with its scale and bias. The mean is subtracted first: scale x - scale mean would
/// suffer from cancellation if the mean is large.
template <class T>
RCNN_HOST_DEVICE inline T normalized(T x, T mean, T scale, T bias) {
  return (x - mean) * scale + bias;
}

}  // namespace rcnn::kernels
