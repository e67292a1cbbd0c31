// Weights and images made by a formula of name and index: what tests/parity/formula.py computes, bit for bit.
#pragma once

#include <string>

#include "core/tensor.h"
#include "data/image.h"
#include "models/faster_rcnn.h"

namespace rcnn::parity {

/// The tensor `name` of this shape, in the layout of torchvision's files, f32. `salt` tells one model's
/// weights from another's.
Tensor formula_weight(const std::string& salt, const std::string& name, const Shape& shape);
/// The number h(name, i) behind element i.
uint32_t formula_bits(uint32_t start, uint32_t i);
uint32_t formula_start(const std::string& name);

/// Image `index` of a batch: blocks of 16 x 16 pixels under noise.
Image formula_image(const std::string& salt, int index, int height, int width);

/// Sets every parameter and buffer by the formula.
void set_formula_weights(FasterRcnn& model, const std::string& salt);

}  // namespace rcnn::parity
