// Makes weights and images by a formula from a name and an index. tests/parity/formula.py computes the same
// bits.
#pragma once

#include <string>

#include "core/tensor.h"
#include "data/image.h"
#include "models/faster_rcnn.h"

namespace rcnn::parity {

/// The tensor `name` of this shape, f32, in the layout of torchvision's files. Models with different `salt`
/// have different weights.
Tensor formula_weight(const std::string& salt, const std::string& name, const Shape& shape);
/// The number h(name, i) from which element i is made; `start` is formula_start(name).
uint32_t formula_bits(uint32_t start, uint32_t i);
uint32_t formula_start(const std::string& name);

/// Image `index` of a batch: blocks of 16 x 16 pixels with noise.
Image formula_image(const std::string& salt, int index, int height, int width);

/// Sets every parameter and buffer of the model by the formula.
void set_formula_weights(FasterRcnn& model, const std::string& salt);

}  // namespace rcnn::parity
