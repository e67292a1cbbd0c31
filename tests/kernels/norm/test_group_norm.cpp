#include "kernels/norm/group_norm_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {

VERIFY_OP(group_norm)
VERIFY_OP(group_norm_backward)

TEST_CASE("group_norm: an example with two images and two groups, worked out by hand") {
  // Image 0: group 0 is 1 3 3 5 (mean 3, variance 2), group 1 is 0 0 4 4 (mean 2, variance 4).
  // Image 1: ten times these values; with its own statistics the output is the same.
  const std::vector<float> x{1, 3, 0, 4, 3, 5, 4, 0, 10, 30, 0, 40, 30, 50, 40, 0};
  const std::vector<float> weight{1, 1, 1, 3}, bias{0, 0, 1, 0};
  const double root = std::sqrt(2.0);
  const std::vector<double> expected{-root, 0, 0, 3, 0, root, 2, -3};
  const auto make = [&] {
    Prepared<GroupNormArgs<float>> p;
    p.args.n = p.args.rows = p.args.groups = 2;
    p.args.c = 4;
    p.args.x = given(p, x);
    p.args.weight = given(p, weight);
    p.args.bias = given(p, bias);
    p.args.mean = result(p, std::vector<float>(4));
    p.args.inverse_deviation = result(p, std::vector<float>(4));
    p.args.y = result(p, std::vector<float>(16));
    return p;
  };
  hand_worked(group_norm, make, [&](const auto& outputs) {
    CHECK(outputs[0] == std::vector<float>{3, 2, 30, 20});
    CHECK(outputs[1][1] == 0.5f);
    for (size_t i = 0; i < 16; ++i) CHECK(outputs[2][i] == doctest::Approx(expected[i % 8]));
  });
}

}  // namespace rcnn::kernels
