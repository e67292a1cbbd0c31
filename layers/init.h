// Initial values of parameters.
#pragma once

#include <cstdint>
#include <limits>

#include "core/autograd.h"
#include "core/rng.h"

namespace rcnn {

/// Makes parameters with initial values. The random numbers of the n-th depend only on the seed and n.
class Init {
 public:
  explicit Init(uint64_t seed, DType dtype = DType::f32) : seed_(seed), dtype_(dtype) {}

  Var constant(const Shape& shape, double value);
  Var normal(const Shape& shape, double deviation);
  Var uniform(const Shape& shape, double bound);
  /// He et al. 2015, normal: for a filter (K, R, S, C) the deviation is sqrt(2 / fan_out), fan_out = K R S.
  Var kaiming_normal(const Shape& shape);
  /// He et al. 2015, uniform with negative slope `a`: the bound is sqrt(6 / ((1 + a^2) fan_in)), where
  /// fan_in is the number of elements per filter. torchvision's FPN has a = 1; PyTorch's linear layers and
  /// convolutions have a = sqrt(5) by default.
  Var kaiming_uniform(const Shape& shape, double a);

  DType dtype() const { return dtype_; }
  /// The maximum number of values of all parameters that are still to be made; a further one throws
  /// InputError before it takes memory.
  void limit(int64_t values) { left_ = values; }
  /// Parameters get their memory but no values: those of a file follow.
  void leave_unset() { unset_ = true; }

 private:
  template <class Draw>
  Var fill(const Shape& shape, Draw draw);
  uint64_t seed_;
  DType dtype_;
  uint32_t next_ = 0;
  int64_t left_ = std::numeric_limits<int64_t>::max();
  bool unset_ = false;
};

}  // namespace rcnn
