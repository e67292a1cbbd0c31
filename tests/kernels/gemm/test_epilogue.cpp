#include "kernels/gemm/epilogue_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

TEST_CASE("epilogue_backward: every variant agrees with the reference in double") {
  verify(epilogue_backward, epilogue_cases(), [](auto zero, const auto& c, Filler fill) {
    return prepare_epilogue_backward<decltype(zero)>(c, fill);
  });
}

}  // namespace rcnn::kernels
