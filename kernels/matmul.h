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
#if defined(RCNN_ONEDNN)
void matmul_onednn(const Stream&, Workspace&, const MatmulArgs<float>& args);
#else
inline constexpr void (*matmul_onednn)(const Stream&, Workspace&, const MatmulArgs<float>&) = nullptr;
#endif

// clang-format off
inline constexpr Variant<MatmulArgs<float>, MatmulArgs<double>> matmul_variants[] = {
    {DeviceType::cpu, "onednn", matmul_onednn, nullptr, nullptr, "oneDNN"},
    {DeviceType::cpu, "reference", matmul_reference<float>, matmul_reference<double>},
};
inline constexpr Op<MatmulArgs<float>, MatmulArgs<double>> matmul{"matmul", "matmul", matmul_variants};
// clang-format on

}  // namespace rcnn::kernels
