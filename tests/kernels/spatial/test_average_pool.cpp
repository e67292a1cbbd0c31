#include "kernels/spatial/average_pool_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(average_pool)
VERIFY_OP(average_pool_backward)

}  // namespace rcnn::kernels
