#include "kernels/group_norm_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

TEST_CASE("group_norm: every variant agrees with the reference in double") {
  verify(group_norm, group_norm_cases(),
         [](auto zero, const auto& c, Filler fill) { return prepare_group_norm<decltype(zero)>(c, fill); });
}

TEST_CASE("group_norm_backward: every variant agrees with the reference in double") {
  verify(group_norm_backward, group_norm_cases(), [](auto zero, const auto& c, Filler fill) {
    return prepare_group_norm_backward<decltype(zero)>(c, fill);
  });
}

TEST_CASE("group_norm: two images, two groups by hand") {
  // Image 0: group 0 holds 1 3 3 5 (mean 3, variance 2), group 1 holds 0 0 4 4 (mean 2, variance 4).
  // Image 1: ten times as much; its own statistics give the same output.
  const std::vector<float> x{1, 3, 0, 4, 3, 5, 4, 0, 10, 30, 0, 40, 30, 50, 40, 0};
  const std::vector<float> weight{1, 1, 1, 3}, bias{0, 0, 1, 0};
  const double root = std::sqrt(2.0);
  const std::vector<double> expected{-root, 0, 0, 3, 0, root, 2, -3};
  for (const auto& variant : group_norm.variants) {
    Context ctx;
    std::vector<float> mean(4), inverse(4), y(16);
    variant.run(ctx.stream, ctx.workspace,
                {2, 2, 4, 2, x.data(), weight.data(), bias.data(), nullptr, false, 0, mean.data(),
                 inverse.data(), y.data()});
    CHECK(mean == std::vector<float>{3, 2, 30, 20});
    CHECK(inverse[1] == 0.5f);
    for (size_t i = 0; i < 16; ++i) CHECK(y[i] == doctest::Approx(expected[i % 8]));
  }
}

}  // namespace rcnn::kernels
