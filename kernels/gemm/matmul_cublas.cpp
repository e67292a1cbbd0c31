// Matrix product through cuBLAS, the baseline to beat. The epilogue is a separate pass.
#include <cublas_v2.h>

#include "core/cuda/vendor_library.h"
#include "kernels/gemm/cuda_library.h"
#include "kernels/gemm/matmul.h"

namespace rcnn::kernels {
namespace {

const cuda::VendorLibrary& cublas_library() {
  static const cuda::VendorLibrary library("cuBLAS", "libcublas.so." RCNN_QUOTED(CUBLAS_VER_MAJOR));
  return library;
}
/// A function of cuBLAS: RCNN_CUBLAS_CALL(cublasCreate)(&handle).
#define RCNN_CUBLAS_CALL(function) RCNN_FUNCTION_OF(cublas_library(), function)

/// Throws Error unless `status` is success. The message says what was tried (the formatted sentence) and how
/// cuBLAS describes the status.
template <class... Args>
void cublas_check(cublasStatus_t status, fmt::format_string<Args...> tried, Args&&... args) {
  if (status == CUBLAS_STATUS_SUCCESS) [[likely]]
    return;
  throw Error(fmt::format("cuBLAS, {}: {}", fmt::format(tried, std::forward<Args>(args)...),
                          RCNN_CUBLAS_CALL(cublasGetStatusString)(status)));
}

/// The cuBLAS handle of a workspace.
struct CublasCache {
  CublasCache() { cublas_check(RCNN_CUBLAS_CALL(cublasCreate)(&handle), "creating a handle"); }
  ~CublasCache() { RCNN_CUBLAS_CALL(cublasDestroy)(handle); }
  CublasCache(const CublasCache&) = delete;
  CublasCache& operator=(const CublasCache&) = delete;

  cublasHandle_t handle = nullptr;
};

/// The handle, set to this stream and to scratch memory of the workspace. The scratch memory of cuBLAS itself
/// would be shared by all streams, and its allocation would escape the recording of a CUDA graph. cuBLAS
/// recommends 32 MiB on sm_90.
cublasHandle_t handle_on(const Stream& stream, Workspace& workspace) {
  constexpr int64_t kScratch = int64_t{32} << 20;
  const cublasHandle_t handle = workspace.cache<CublasCache>().handle;
  cublas_check(RCNN_CUBLAS_CALL(cublasSetStream)(handle, stream.handle), "setting the stream");
  cublas_check(
      RCNN_CUBLAS_CALL(cublasSetWorkspace)(handle, take_library_scratch(workspace, kScratch), kScratch),
      "setting the scratch memory");
  return handle;
}

/// c = op(a) op(b), or c += op(a) op(b). cuBLAS stores matrices by columns, so it sees each row-major matrix
/// as its transpose. It is therefore asked for c^T (N, M) = op(b)^T (N, K) times op(a)^T (K, M).
void multiply(const Stream& stream, Workspace& workspace, const MatmulArgs<float>& x, Precision precision) {
  const void *a = x.a, *b = x.b;
  if (precision == Precision::bf16) {
    a = round_to_bf16(stream, workspace, x.a, x.m * x.k);
    b = round_to_bf16(stream, workspace, x.b, x.k * x.n);
  }
  const cudaDataType_t type = precision == Precision::bf16 ? CUDA_R_16BF : CUDA_R_32F;
  const cublasComputeType_t compute =
      precision == Precision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  const float alpha = 1, beta = x.accumulate == Accumulate::yes ? 1 : 0;
  cublas_check(RCNN_CUBLAS_CALL(cublasGemmEx_64)(
                   handle_on(stream, workspace), x.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                   x.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, x.n, x.m, x.k, &alpha, b, type,
                   x.transpose_b ? x.k : x.n, a, type, x.transpose_a ? x.m : x.k, &beta, x.c, CUDA_R_32F, x.n,
                   compute, CUBLAS_GEMM_DEFAULT),
               "multiplying ({}, {}) by ({}, {})", x.m, x.k, x.k, x.n);
}

}  // namespace

const std::string& missing_cublas() { return cublas_library().missing(); }

template <Precision P>
void matmul_cublas(const Stream& stream, Workspace& workspace, const MatmulArgs<float>& x) {
  if (x.m == 0 || x.n == 0) return;
  if (x.k > 0) {
    multiply(stream, workspace, x, P);
  } else if (x.accumulate == Accumulate::no) {  // an empty sum
    clear(stream, x.c, x.m * x.n);
  }
  epilogue_pass(stream, {.rows = x.m, .columns = x.n, .z = x.c, .bias = x.bias, .relu = x.relu, .y = x.c});
}

template void matmul_cublas<Precision::f32>(const Stream&, Workspace&, const MatmulArgs<float>&);
template void matmul_cublas<Precision::tf32>(const Stream&, Workspace&, const MatmulArgs<float>&);
template void matmul_cublas<Precision::bf16>(const Stream&, Workspace&, const MatmulArgs<float>&);

}  // namespace rcnn::kernels
