#include "kernels/norm/scale_shift_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(scale_shift)
VERIFY_OP(scale_shift_backward)

TEST_CASE("scale_shift: two channels by hand, forward and backward") {
  const std::vector<float> x{1, 2, -3, 4}, scale{2, -1}, shift{0.5f, 1}, residual{0, 3, 0, 0};
  std::vector<float> y(4), dx(4), dresidual(4);
  const std::vector<float> dy{1, 10, 100, 1000};
  Context ctx;
  run(ctx, scale_shift,
      ScaleShiftArgs<float>{.rows = 2,
                            .c = 2,
                            .x = x.data(),
                            .scale = scale.data(),
                            .shift = shift.data(),
                            .residual = residual.data(),
                            .relu = true,
                            .y = y.data()});
  CHECK(y == std::vector<float>{2.5f, 2, 0, 0});
  run(ctx, scale_shift_backward,
      ScaleShiftBackwardArgs<float>{.rows = 2,
                                    .c = 2,
                                    .scale = scale.data(),
                                    .y = y.data(),
                                    .dy = dy.data(),
                                    .relu = true,
                                    .dx = dx.data(),
                                    .dresidual = dresidual.data()});
  CHECK(dx == std::vector<float>{2, -10, 0, 0});
  CHECK(dresidual == std::vector<float>{1, 10, 0, 0});
}

}  // namespace rcnn::kernels
