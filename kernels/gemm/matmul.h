// Matrix product with an epilogue: c = relu(op(a) op(b) + bias), the work of a fully connected layer and of
// its gradients. All matrices are row-major and dense; op transposes or does nothing.
#pragma once

#include "kernels/gemm/packed_operand.h"
#include "kernels/gemm/weights_key.h"
#include "kernels/op.h"

namespace rcnn::kernels {

template <class T>
struct MatmulArgs {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  const T* a = nullptr;     // (M, K), or (K, M) when transposed
  const T* b = nullptr;     // (K, N), or (N, K) when transposed
  const T* bias = nullptr;  // (N), added to every row, or null
  bool relu = false;
  T* c = nullptr;                          // (M, N)
  Accumulate accumulate = Accumulate::no;  // yes: c += op(a) op(b), without bias and relu
  WeightsKey weights = {};                 // of b, if it holds weights
  // On a GPU: the packed forms. A variant that packs an operand leaves it here for the next, or finds it;
  // with the form that it reads, the operand may be null. That of c is left if it is given. Null: not kept.
  PackedOperand* packed_a = nullptr;
  PackedOperand* packed_b = nullptr;
  PackedOperand* packed_c = nullptr;
};

/// The sizes, and which of the matrices is transposed: what a plan knows the calls by (kernels/plans.h).
std::string plan_shape(const MatmulArgs<float>& a);

template <class T>
void matmul_reference(const Stream&, Workspace&, const MatmulArgs<T>& a);

// The CUDA variants, in the order to read them: one thread per output; operands shared by a block; a tile of
// outputs in the registers of each thread; tensor cores.
Run<MatmulArgs<float>> matmul_direct, matmul_tiled, matmul_register_tiles, matmul_mma_tf32, matmul_mma_bf16;

template <Precision P>
void matmul_cublas(const Stream&, Workspace&, const MatmulArgs<float>& a);

Run<MatmulArgs<float>> matmul_onednn;

// clang-format off
inline constexpr RealTechnique<MatmulArgs> matmul_techniques[] = {
    {"mma_bf16", on_cuda.with(Precision::bf16, 80), matmul_mma_bf16},
    {"mma_tf32", on_cuda.with(Precision::tf32, 80), matmul_mma_tf32},
    {"register_tiles", on_cuda, matmul_register_tiles},
    {"tiled", on_cuda, matmul_tiled},
    {"direct", on_cuda, matmul_direct},
    {"cublas_bf16", on_cublas.with(Precision::bf16, 80), matmul_cublas<Precision::bf16>},
    {"cublas_tf32", on_cublas.with(Precision::tf32, 80), matmul_cublas<Precision::tf32>},
    {"cublas", on_cublas, matmul_cublas<Precision::f32>},
    {"onednn", on_onednn, matmul_onednn},
    {"reference", on_cpu, {matmul_reference<float>, matmul_reference<double>}},
};
// clang-format on
inline constexpr Op matmul{"matmul", "matmul", column<0>(matmul_techniques)};

}  // namespace rcnn::kernels
