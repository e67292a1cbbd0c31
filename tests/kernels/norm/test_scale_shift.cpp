#include "kernels/norm/scale_shift_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

TEST_CASE("scale_shift: every variant agrees with the reference in double") {
  verify(scale_shift, scale_shift_cases(),
         [](auto zero, const auto& c, Filler fill) { return prepare_scale_shift<decltype(zero)>(c, fill); });
}

TEST_CASE("scale_shift_backward: every variant agrees with the reference in double") {
  verify(scale_shift_backward, scale_shift_cases(), [](auto zero, const auto& c, Filler fill) {
    return prepare_scale_shift_backward<decltype(zero)>(c, fill);
  });
}

TEST_CASE("scale_shift: forward and backward of two channels, worked out by hand") {
  const std::vector<float> x{1, 2, -3, 4}, scale{2, -1}, shift{0.5f, 1}, residual{0, 3, 0, 0};
  std::vector<float> y(4), dx(4), dresidual(4);
  const std::vector<float> dy{1, 10, 100, 1000};
  Context ctx;
  run(ctx, scale_shift,
      ScaleShiftArgs<float>{2, 2, x.data(), scale.data(), shift.data(), residual.data(), true, y.data()});
  CHECK(y == std::vector<float>{2.5f, 2, 0, 0});
  run(ctx, scale_shift_backward,
      ScaleShiftBackwardArgs<float>{2, 2, scale.data(), y.data(), dy.data(), true, dx.data(), Accumulate::no,
                                    dresidual.data(), Accumulate::no});
  CHECK(dx == std::vector<float>{2, -10, 0, 0});
  CHECK(dresidual == std::vector<float>{1, 10, 0, 0});
}

}  // namespace rcnn::kernels
