#pragma once

#include "core/host_device.h"

namespace rcnn::kernels {

/// One element; see kernels/ema.h.
RCNN_HOST_DEVICE inline float ema_step(float decay, float value, float average) {
  return average + (1 - decay) * (value - average);
}

}  // namespace rcnn::kernels
