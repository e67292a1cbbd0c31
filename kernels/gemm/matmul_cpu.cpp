#include "core/parallel.h"
#include "kernels/gemm/epilogue_math.h"
#include "kernels/gemm/matmul.h"

namespace rcnn::kernels {

template <class T>
void matmul_reference(const Stream&, Workspace&, const MatmulArgs<T>& x) {
  parallel_for(x.m, 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for (int64_t j = 0; j < x.n; ++j) {
        T sum = 0;
        for (int64_t l = 0; l < x.k; ++l)
          sum += (x.transpose_a ? x.a[l * x.m + i] : x.a[i * x.k + l]) *
                 (x.transpose_b ? x.b[j * x.k + l] : x.b[l * x.n + j]);
        put(x.c[i * x.n + j], epilogue_value(sum, T(1), x.bias ? x.bias[j] : T(0), T(0), x.relu),
            x.accumulate);
      }
  });
}

template Run<MatmulArgs<float>> matmul_reference<float>;
template Run<MatmulArgs<double>> matmul_reference<double>;

}  // namespace rcnn::kernels
