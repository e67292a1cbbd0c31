// The update of one element, and the factor that clips gradients.
#pragma once

#include "core/host_device.h"

namespace rcnn::kernels {

/// The factors of a step that all elements of a parameter share.
struct SgdRule {
  float gradient_scale, weight_decay, momentum_factor, rate;
};

RCNN_HOST_DEVICE inline void sgd_step(const SgdRule& rule, float gradient, float& weight, float& momentum) {
  const float g = rule.gradient_scale * gradient + rule.weight_decay * weight;
  momentum = rule.momentum_factor * momentum + g;
  weight -= rule.rate * momentum;
}

/// min(1, max_norm / (norm + 1e-6)).
RCNN_HOST_DEVICE inline float clip_scale(float norm, float max_norm) {
  const float scale = max_norm / (norm + 1e-6f);
  return scale > 1 ? 1 : scale;
}

}  // namespace rcnn::kernels
