// The formulas of the losses and of their derivatives.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/host_device.h"

namespace rcnn::kernels {

/// What some of the labels contribute to a loss.
struct LossShare {
  double sum = 0;     // of the terms of the loss
  int64_t count = 0;  // labels >= 0
};

/// The divisor of the mean: max(1, number of labels >= 0).
RCNN_HOST_DEVICE inline double divisor(int64_t count) { return static_cast<double>(count < 1 ? 1 : count); }

/// log(1 + exp(x)) - x z, the cross-entropy of sigmoid(x) with a label z of 0 or 1, without overflow.
template <class T>
RCNN_HOST_DEVICE inline T sigmoid_cross_entropy_term(T x, T z) {
  return (x < 0 ? T(0) : x) - x * z + std::log1p(std::exp(-std::fabs(x)));
}

/// 1 / (1 + exp(-x)). The derivative of sigmoid_cross_entropy_term with respect to x is sigmoid(x) - z.
template <class T>
RCNN_HOST_DEVICE inline T sigmoid(T x) {
  return T(1) / (T(1) + std::exp(-x));
}

/// d^2 / (2 beta) where |d| < beta, else |d| - beta / 2.
template <class T>
RCNN_HOST_DEVICE inline T smooth_l1_term(T d, T beta) {
  const T size = std::fabs(d);
  return size < beta ? d * d / (2 * beta) : size - beta / 2;
}

/// The derivative of smooth_l1_term. It is 0 at d = 0, even if beta is 0, which makes a kink there.
template <class T>
RCNN_HOST_DEVICE inline T smooth_l1_slope(T d, T beta) {
  if (std::fabs(d) < beta) return d / beta;
  return d > 0 ? T(1) : d < 0 ? T(-1) : d;  // d is 0, or a NaN, which must not be hidden
}

}  // namespace rcnn::kernels
