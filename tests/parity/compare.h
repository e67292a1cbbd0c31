// Compares this program's detector with torchvision's, stage by stage, on one case.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/faster_rcnn.h"
#include "tests/parity/expected.h"

namespace rcnn::parity {

/// The model of the case, with weights made by the formula (formula.h).
std::unique_ptr<FasterRcnn> make_model(const Expected& expected, DType dtype = DType::f32);

/// How far one tensor deviates from torchvision's.
struct Finding {
  std::string stage;   // "features", "gradients", ...
  std::string tensor;  // its name in the file
  double deviation;    // relative to the largest magnitude, or in `unit` if that is not empty
  double limit;
  std::string unit;
  bool good() const { return deviation <= limit; }  // false for NaN
};

/// Compares every stage of the case. With `fed`, each stage gets torchvision's output of the previous stage,
/// if the file has all of it, so that a deviation shows in the stage that causes it. Without, each stage gets
/// our own output.
std::vector<Finding> compare(const Expected& expected, bool fed);

}  // namespace rcnn::parity
