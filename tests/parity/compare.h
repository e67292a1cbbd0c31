// This program's detector against torchvision's, stage by stage, on one case.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/faster_rcnn.h"
#include "tests/parity/expected.h"

namespace rcnn::parity {

/// The case's model with the formula's weights.
std::unique_ptr<FasterRcnn> make_model(const Expected& expected, DType dtype = DType::f32);

/// How far one tensor is from torchvision's.
struct Finding {
  std::string stage;   // "features", "gradients", ...
  std::string tensor;  // its name in the file
  double deviation;    // relative to the largest magnitude, or in `unit`
  double limit;
  std::string unit;
  bool good() const { return deviation <= limit; }  // false for NaN
};

/// Everything of the case. With `fed` each stage gets torchvision's output of the stage before, as far as the
/// file has it whole, so that a deviation shows where it is made; without, each gets our own.
std::vector<Finding> compare(const Expected& expected, bool fed);

}  // namespace rcnn::parity
