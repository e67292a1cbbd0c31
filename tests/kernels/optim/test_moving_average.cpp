#include "kernels/optim/moving_average_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(moving_average)

TEST_CASE("moving_average: two tensors worked out by hand") {
  std::vector<float> a{1, -2}, b{8};
  const std::vector<float> new_a{5, -2}, new_b{0};
  Averaged tensors[] = {{.average = a.data(), .value = new_a.data(), .size = 2},
                        {.average = b.data(), .value = new_b.data(), .size = 1}};
  const float share = 0.25f;
  int32_t skip = 0;
  Context ctx;
  run(ctx, moving_average,
      MovingAverageArgs{
          .tensors = tensors, .count = 2, .chunks = number_chunks(tensors), .share = &share, .skip = &skip});
  CHECK(a == std::vector<float>{2, -2});
  CHECK(b == std::vector<float>{6});
  skip = 1;
  run(ctx, moving_average,
      MovingAverageArgs{.tensors = tensors, .count = 2, .chunks = 2, .share = &share, .skip = &skip});
  CHECK(b == std::vector<float>{6});
  run(ctx, moving_average, MovingAverageArgs{.tensors = tensors, .count = 2, .chunks = 2, .share = &share});
  CHECK(b == std::vector<float>{4.5f});
}

TEST_CASE("moving_average: every element of every chunk is updated") {
  const auto cases = moving_average_cases();
  const auto before = prepare_moving_average(cases[1], Filler(3, Fill::normal));
  const auto after = prepare_moving_average(cases[1], Filler(3, Fill::normal));
  Context ctx;
  run(ctx, moving_average, after.args);
  for (int64_t i = 0; i < after.args.count; ++i) {
    const Averaged &old = before.args.tensors[i], &now = after.args.tensors[i];
    double largest = 0;
    for (int64_t k = 0; k < now.size; ++k) {
      const auto m = static_cast<double>(old.average[k]), v = static_cast<double>(old.value[k]);
      const double error = std::fabs(static_cast<double>(now.average[k]) -
                                     (m + static_cast<double>(*before.args.share) * (v - m)));
      largest = error <= largest ? largest : error;  // keeps a NaN
    }
    CAPTURE(i);
    CHECK(largest <= 2e-6);
  }
}

}  // namespace rcnn::kernels
