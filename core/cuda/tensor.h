// Tensor operations on elements that lie on a GPU; in a build without CUDA these functions throw.
#pragma once

#include "core/tensor.h"

namespace rcnn::cuda {

/// Sets every element to `value`, converted to the tensor's type. A captured graph repeats it.
void fill(const Tensor& tensor, double value);
/// Element i becomes uniform_number(start, i) (core/rng.h); f32.
void fill_uniform(const Tensor& tensor, uint32_t start);
/// sum[i] += term[i], f32.
void add_to(const Tensor& sum, const Tensor& term);

/// Copies bytes to the device as arguments of kernels, 2 KiB each. A captured graph repeats the copy.
void upload_as_arguments(Device device, void* to, const void* from, size_t bytes);

}  // namespace rcnn::cuda
