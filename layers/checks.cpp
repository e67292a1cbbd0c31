#include "layers/checks.h"

#include "layers/box_targets.h"

namespace rcnn {
namespace {

bool fits(const Shape& found, const Shape& expected) {
  if (found.rank() != expected.rank()) return false;
  for (int i = 0; i < found.rank(); ++i)
    if (expected[i] != kAny && found[i] != expected[i]) return false;
  return true;
}

/// "(2, any, 4)".
std::string text(const Shape& expected) {
  std::string sizes;
  for (const int64_t size : expected)
    sizes += (sizes.empty() ? "" : ", ") + (size == kAny ? "any" : std::to_string(size));
  return "(" + sizes + ")";
}

}  // namespace

std::string describe(const Tensor& tensor) {
  return tensor.defined() ? fmt::format("{} {}", name_of(tensor.dtype()), tensor.shape().str()) : "undefined";
}

void check_tensor(const char* function, const char* name, const Tensor& tensor, DType dtype,
                  const Shape& shape) {
  check(tensor.defined() && tensor.dtype() == dtype && fits(tensor.shape(), shape),
        "{}: {} is {}, expected {} {}", function, name, describe(tensor), name_of(dtype), text(shape));
}

void check_truth(const char* function, const GroundTruth& truth, int64_t n) {
  check_tensor(function, "truth.boxes", truth.boxes, DType::f32, {n, kAny, 4});
  check_tensor(function, "truth.labels", truth.labels, DType::i32, {n, truth.boxes.dim(1)});
  check_tensor(function, "truth.count", truth.count, DType::i32, {n});
  check_tensor(function, "truth.image_id", truth.image_id, DType::i32, {n});
}

}  // namespace rcnn
