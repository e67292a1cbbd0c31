#include "kernels/spatial/upsample_add_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(upsample_add)
VERIFY_OP(upsample_add_backward)

}  // namespace rcnn::kernels
