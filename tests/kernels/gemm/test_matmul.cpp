#include "kernels/gemm/matmul_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(matmul)

}  // namespace rcnn::kernels
