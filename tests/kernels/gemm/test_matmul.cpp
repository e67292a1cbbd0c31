#include "kernels/gemm/matmul_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

TEST_CASE("matmul: every variant agrees with the reference in double") {
  verify(matmul, matmul_cases(),
         [](auto zero, const auto& c, Filler fill) { return prepare_matmul<decltype(zero)>(c, fill); });
}

}  // namespace rcnn::kernels
