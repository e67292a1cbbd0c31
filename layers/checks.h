// Checks of tensors that several layers share. Their error messages are whole sentences.
#pragma once

#include <string>

#include "core/tensor.h"

namespace rcnn {

struct GroundTruth;

/// In an expected shape: any size fits.
inline constexpr int64_t kAny = -1;

/// "f32 (2, 3)", or "undefined".
std::string describe(const Tensor& tensor);

/// Throws Error unless `tensor` has this type and shape; the message begins with the function's name.
void check_tensor(const char* function, const char* name, const Tensor& tensor, DType dtype,
                  const Shape& shape);

/// The same for each tensor of the ground truth of `n` images.
void check_truth(const char* function, const GroundTruth& truth, int64_t n);

}  // namespace rcnn
