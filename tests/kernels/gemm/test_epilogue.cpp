#include "kernels/gemm/epilogue_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(epilogue_backward)

}  // namespace rcnn::kernels
