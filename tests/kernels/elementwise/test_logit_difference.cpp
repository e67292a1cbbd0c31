#include "kernels/elementwise/logit_difference_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

}  // namespace

VERIFY_OP(logit_difference)
VERIFY_OP(logit_difference_backward)

TEST_CASE("logit_difference: subtracts background from object, and a NaN affects only its own output") {
  hand_worked(
      logit_difference,
      [] {
        Prepared<LogitDifferenceArgs<float>> p;
        const float* x = given(p, {1, 2, 3, 10, 20, 30,  //
                                   4, kNaN, 6, 1, 1, 1});
        p.args = {.rows = 2, .a = 3, .x = x, .y = result(p, std::vector<float>(6, kNaN))};
        return p;
      },
      [](const auto& outputs) {
        const std::vector<float>& y = outputs[0];
        CHECK(std::vector<float>(y.begin(), y.begin() + 4) == std::vector<float>{9, 18, 27, -3});
        CHECK(std::isnan(y[4]));
        CHECK(y[5] == -5);
      });
}

TEST_CASE("logit_difference: backward writes or adds the gradients of both halves") {
  for (const Accumulate accumulate : {Accumulate::no, Accumulate::yes})
    hand_worked(
        logit_difference_backward,
        [&] {
          Prepared<LogitDifferenceBackwardArgs<float>> p;
          const float* dy = given(p, {1, 2, 3, 4});
          p.args = {.rows = 2,
                    .a = 2,
                    .dy = dy,
                    .dx = result(p, {10, 20, 30, 40, 50, 60, 70, 80}),
                    .accumulate = accumulate};
          return p;
        },
        [&](const auto& outputs) {
          CHECK(outputs[0] == (accumulate == Accumulate::yes
                                   ? std::vector<float>{9, 18, 31, 42, 47, 56, 73, 84}
                                   : std::vector<float>{-1, -2, 1, 2, -3, -4, 3, 4}));
        });
}

}  // namespace rcnn::kernels
