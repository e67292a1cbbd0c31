// The backward of an epilogue y = relu(scale[c] * z + bias[c] + residual), which convolution and matrix
// product share.
//
//     g = y > 0 ? dy : 0   with ReLU, else dy
//     dresidual = g,   dbias[c] = sum of g over rows,   dz = scale[c] * g
#pragma once

#include "kernels/gemm/packed_operand.h"
#include "kernels/op.h"

namespace rcnn::kernels {

template <class T>
struct EpilogueBackwardArgs {
  int64_t rows = 0, c = 0;
  const T* y = nullptr;      // (rows, C), or null without ReLU
  const T* dy = nullptr;     // (rows, C)
  const T* scale = nullptr;  // (C), or null for 1
  T* dz = nullptr;           // (rows, C), or null: not needed
  T* dresidual = nullptr;    // (rows, C), or null
  Accumulate accumulate_residual = Accumulate::no;
  T* dbias = nullptr;  // (C), or null
  Accumulate accumulate_bias = Accumulate::no;
  /// On a GPU: where the bf16 form of dz is left, which may be all that is needed of it. Requires C % 8 == 0.
  PackedOperand* packed_dz = nullptr;
};

template <class T>
void epilogue_backward_reference(const Stream&, Workspace&, const EpilogueBackwardArgs<T>& a);
template <class T>
void epilogue_backward_row_chunks(const Stream&, Workspace&, const EpilogueBackwardArgs<T>& a);
Run<EpilogueBackwardArgs<float>> epilogue_backward_block_per_chunk;

// clang-format off
inline constexpr RealTechnique<EpilogueBackwardArgs> epilogue_techniques[] = {
    {"block_per_chunk", on_cuda, epilogue_backward_block_per_chunk},
    {"row_chunks", on_cpu, epilogue_backward_row_chunks<float>},
    {"reference", on_cpu, {epilogue_backward_reference<float>, epilogue_backward_reference<double>}},
};
// clang-format on
inline constexpr Op epilogue_backward{"epilogue_backward", "epilogue", column<0>(epilogue_techniques)};

}  // namespace rcnn::kernels
