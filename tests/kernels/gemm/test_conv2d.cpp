#include "kernels/gemm/conv2d_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(conv2d)
VERIFY_OP(conv2d_dx)
VERIFY_OP(conv2d_dw)

}  // namespace rcnn::kernels
