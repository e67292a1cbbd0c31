// Initial values of parameters.
#pragma once

#include "core/autograd.h"
#include "core/rng.h"

namespace rcnn {

/// Hands out initial values. The n-th tensor asked for depends on the seed and n alone.
class Init {
 public:
  explicit Init(uint64_t seed, DType dtype = DType::f32) : seed_(seed), dtype_(dtype) {}

  Var constant(const Shape& shape, double value);
  Var normal(const Shape& shape, double deviation);
  Var uniform(const Shape& shape, double bound);
  /// He et al. 2015, normal: deviation sqrt(2 / fan_out), fan_out = K R S of a filter (K, R, S, C).
  Var kaiming_normal(const Shape& shape);
  /// He et al. 2015, uniform with negative slope `a`: bound sqrt(6 / ((1 + a^2) fan_in)); fan_in = elements a
  /// filter. a = 1 is torchvision's FPN, a = sqrt(5) PyTorch's default for linear layers and convolutions.
  Var kaiming_uniform(const Shape& shape, double a);

  DType dtype() const { return dtype_; }

 private:
  template <class Draw>
  Var fill(const Shape& shape, Draw draw);
  uint64_t seed_;
  DType dtype_;
  uint32_t next_ = 0;
};

}  // namespace rcnn
