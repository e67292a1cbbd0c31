#pragma once

#include <cstddef>

#include "core/tensor.h"

namespace rcnn::kernels {

/// The packed form of a layer's input, which forward and the gradient of the weights both read: forward
/// leaves it here, and the gradient finds it. Belongs to the layer's node, and goes with it.
struct PackedInput {
  Tensor values;       // bytes on the device; undefined as long as no variant has packed the input
  size_t element = 0;  // bytes of an element of the form
};

}  // namespace rcnn::kernels
