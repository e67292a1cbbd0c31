// What tensors do with elements on a GPU; in a build without CUDA these throw.
#pragma once

#include "core/tensor.h"

namespace rcnn::cuda {

/// Every element becomes `value`, converted to the tensor's type. A captured graph repeats it.
void fill(const Tensor& tensor, double value);
/// sum[i] += term[i], f32.
void add_to(const Tensor& sum, const Tensor& term);

/// Copies bytes to the device as arguments of kernels, 2 KiB each: a captured graph repeats them.
void upload_as_arguments(Device device, void* to, const void* from, size_t bytes);

}  // namespace rcnn::cuda
