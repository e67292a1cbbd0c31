// Matrix product with an epilogue: c = relu(op(a) op(b) + bias), the work of a fully connected layer and of
// its gradients. All matrices are row-major and dense; op transposes or does nothing.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

template <class T>
struct MatmulArgs {
  int64_t m, n, k;
  bool transpose_a, transpose_b;
  const T* a;     // (M, K), or (K, M) when transposed
  const T* b;     // (K, N), or (N, K) when transposed
  const T* bias;  // (N), added to every row, or null
  bool relu;
  T* c;                   // (M, N)
  Accumulate accumulate;  // yes: c += ...; then neither bias nor relu may be given
};

template <class T>
void matmul_reference(const Stream&, Workspace&, const MatmulArgs<T>& args);

// CUDA, in the order to read them: one thread an output; operands shared by a block; a tile of outputs in
// each thread's registers; tensor cores.
void matmul_direct(const Stream&, Workspace&, const MatmulArgs<float>& args);
void matmul_tiled(const Stream&, Workspace&, const MatmulArgs<float>& args);
void matmul_register_tiles(const Stream&, Workspace&, const MatmulArgs<float>& args);
void matmul_mma_tf32(const Stream&, Workspace&, const MatmulArgs<float>& args);
void matmul_mma_bf16(const Stream&, Workspace&, const MatmulArgs<float>& args);

#if defined(RCNN_CUBLAS)
template <Precision P>
void matmul_cublas(const Stream&, Workspace&, const MatmulArgs<float>& args);
#else
template <Precision P>
inline constexpr void (*matmul_cublas)(const Stream&, Workspace&, const MatmulArgs<float>&) = nullptr;
#endif

#if defined(RCNN_ONEDNN)
void matmul_onednn(const Stream&, Workspace&, const MatmulArgs<float>& args);
#else
inline constexpr void (*matmul_onednn)(const Stream&, Workspace&, const MatmulArgs<float>&) = nullptr;
#endif

// clang-format off
inline constexpr Variant<MatmulArgs<float>, MatmulArgs<double>> matmul_variants[] = {
    OnCuda<MatmulArgs<float>>{"mma_bf16", matmul_mma_bf16, nullptr, Precision::bf16, 80},
    OnCuda<MatmulArgs<float>>{"mma_tf32", matmul_mma_tf32, nullptr, Precision::tf32, 80},
    OnCuda{"register_tiles", matmul_register_tiles},
    OnCuda{"tiled", matmul_tiled},
    OnCuda{"direct", matmul_direct},
    OnCuda<MatmulArgs<float>>{"cublas_bf16", matmul_cublas<Precision::bf16>, nullptr, Precision::bf16, 80, "cuBLAS"},
    OnCuda<MatmulArgs<float>>{"cublas_tf32", matmul_cublas<Precision::tf32>, nullptr, Precision::tf32, 80, "cuBLAS"},
    OnCuda<MatmulArgs<float>>{"cublas", matmul_cublas<Precision::f32>, nullptr, Precision::f32, 0, "cuBLAS"},
    {DeviceType::cpu, "onednn", matmul_onednn, nullptr, nullptr, "oneDNN"},
    {DeviceType::cpu, "reference", matmul_reference<float>, matmul_reference<double>},
};
inline constexpr Op<MatmulArgs<float>, MatmulArgs<double>> matmul{"matmul", "matmul", matmul_variants};
// clang-format on

}  // namespace rcnn::kernels
