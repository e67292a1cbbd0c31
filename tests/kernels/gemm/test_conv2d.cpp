#include "kernels/gemm/conv2d_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

TEST_CASE("conv2d: every variant agrees with the reference in double") {
  verify(conv2d, conv2d_cases(),
         [](auto zero, const auto& c, Filler fill) { return prepare_conv2d<decltype(zero)>(c, fill); });
}

TEST_CASE("conv2d_dx: every variant agrees with the reference in double") {
  verify(conv2d_dx, conv2d_cases(),
         [](auto zero, const auto& c, Filler fill) { return prepare_conv2d_dx<decltype(zero)>(c, fill); });
}

TEST_CASE("conv2d_dw: every variant agrees with the reference in double") {
  verify(conv2d_dw, conv2d_cases(),
         [](auto zero, const auto& c, Filler fill) { return prepare_conv2d_dw<decltype(zero)>(c, fill); });
}

}  // namespace rcnn::kernels
