// Checks of tensors that several layers share, with a sentence for what does not fit.
#pragma once

#include <string>

#include "core/tensor.h"

namespace rcnn {

struct GroundTruth;

/// In an expected shape: any size.
inline constexpr int64_t kAny = -1;

/// "f32 (2, 3)", or "undefined".
std::string describe(const Tensor& tensor);

/// Throws Error, a sentence that begins with the function's name, unless `tensor` has this type and shape.
void check_tensor(const char* function, const char* name, const Tensor& tensor, DType dtype,
                  const Shape& shape);

/// The same for each tensor of a batch of `n` images.
void check_truth(const char* function, const GroundTruth& truth, int64_t n);

}  // namespace rcnn
