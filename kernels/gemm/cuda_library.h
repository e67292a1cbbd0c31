// What the variants that call NVIDIA's libraries, cuDNN and cuBLAS, do besides the call.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/bf16.h"
#include "core/context.h"

namespace rcnn::kernels {

/// y = relu(scale[column] * z + bias[column] + residual), as in kernels/gemm/epilogue_math.h.
struct EpiloguePass {
  int64_t rows = 0, columns = 0;
  const float* z = nullptr;         // (rows, columns); may be y
  const float* scale = nullptr;     // (columns) or null
  const float* bias = nullptr;      // (columns) or null
  const float* residual = nullptr;  // (rows, columns) or null; may be y
  bool relu = false;
  float* y = nullptr;  // (rows, columns)
};

/// The epilogue as a separate pass. Does nothing if y is z and there is no scale, bias, residual or ReLU.
void epilogue_pass(const Stream& stream, const EpiloguePass& pass);

/// `count` values rounded to bf16, in scratch memory.
bf16* round_to_bf16(const Stream& stream, Workspace& workspace, const float* values, int64_t count);

/// Sets `count` values to 0.
void clear(const Stream& stream, float* values, int64_t count);

/// How many of the engines that cuDNN suggests are timed in the search for the fastest, the most promising
/// ones first. Tests lower it, because a search takes seconds.
inline size_t max_timed_plans = SIZE_MAX;

/// Scratch memory aligned to 256 bytes, as the libraries expect.
void* take_library_scratch(Workspace& workspace, int64_t bytes);

}  // namespace rcnn::kernels
