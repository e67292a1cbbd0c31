#include "layers/init.h"

#include <cmath>

#include "core/error.h"

namespace rcnn {

template <class Draw>
Var Init::fill(const Shape& shape, Draw draw) {
  check_input(shape.numel() <= left_, "a parameter of shape {} is larger than everything in the file",
              shape.str());
  left_ -= shape.numel();
  RandomSequence random(seed_, Purpose::init, next_++);
  Tensor tensor = Tensor::empty(shape, dtype_);
  if (unset_) return Var::parameter(tensor);
  visit_float(dtype_, "a parameter", [&](auto zero) {
    using T = decltype(zero);
    for (T& value : tensor.mutable_values<T>()) value = static_cast<T>(draw(random));
  });
  return Var::parameter(tensor);
}

Var Init::constant(const Shape& shape, double value) {
  return fill(shape, [&](RandomSequence&) { return value; });
}

Var Init::normal(const Shape& shape, double deviation) {
  return fill(shape,
              [&](RandomSequence& random) { return deviation * static_cast<double>(random.normal()); });
}

Var Init::uniform(const Shape& shape, double bound) {
  return fill(shape, [&](RandomSequence& random) {
    return bound * (2.0 * static_cast<double>(random.uniform()) - 1.0);
  });
}

Var Init::kaiming_normal(const Shape& shape) {
  const double fan_out = static_cast<double>(shape[0] * shape[1] * shape[2]);
  return normal(shape, std::sqrt(2.0 / fan_out));
}

Var Init::kaiming_uniform(const Shape& shape, double a) {
  const double fan_in = static_cast<double>(shape.numel() / shape[0]);
  return uniform(shape, std::sqrt(6.0 / ((1.0 + a * a) * fan_in)));
}

}  // namespace rcnn
