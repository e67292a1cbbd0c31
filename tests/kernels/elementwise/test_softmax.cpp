#include "kernels/elementwise/softmax_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {

VERIFY_OP(softmax)

TEST_CASE("softmax: values by hand, also for logits whose exponentials overflow or vanish") {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x{1,         2,   3,      // e^k / (e + e^2 + e^3)
                             1000,      999, -1000,  //
                             -infinity, 0,   0};
  const std::vector<double> expected{0.09003057, 0.24472847, 0.66524096, 0.73105858, 0.26894142,
                                     0,          0,          0.5,        0.5};
  const auto make = [&] {
    Prepared<SoftmaxArgs<float>> p;
    p.args = {.rows = 3, .c = 3, .logits = given(p, x), .probabilities = result(p, std::vector<float>(9))};
    return p;
  };
  const auto in_place = [&] {
    Prepared<SoftmaxArgs<float>> p;
    float* logits = result(p, x);
    p.args = {.rows = 3, .c = 3, .logits = logits, .probabilities = logits};
    return p;
  };
  const auto expect = [&](const auto& outputs) {
    for (size_t i = 0; i < 9; ++i) CHECK(outputs[0][i] == doctest::Approx(expected[i]).epsilon(1e-6));
  };
  hand_worked(softmax, make, expect);
  hand_worked(softmax, in_place, expect);
}

}  // namespace rcnn::kernels
