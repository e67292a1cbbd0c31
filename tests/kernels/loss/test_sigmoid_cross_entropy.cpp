#include "kernels/loss/sigmoid_cross_entropy_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(sigmoid_cross_entropy)
VERIFY_OP(sigmoid_cross_entropy_backward)

TEST_CASE("sigmoid_cross_entropy: an example with two images and two levels, worked out by hand") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  // Labels by level: image 0 has 1 0 | -1, image 1 has -1 -1 | 1.
  const std::vector<int32_t> labels{1, 0, -1, -1, -1, 1};
  const std::vector<float> first{0, 2, nan, nan}, second{nan, -3};
  const float dloss = 6;
  float loss = nan;
  std::vector<float> dfirst(4, nan), dsecond(2, nan);
  Context ctx;
  run(ctx, sigmoid_cross_entropy,
      SigmoidCrossEntropyArgs<float>{.n = 2,
                                     .levels = 2,
                                     .logits = {{first.data(), 2}, {second.data(), 1}},
                                     .labels = labels.data(),
                                     .loss = &loss});
  const double expected = std::log(2.0) + (2 + std::log1p(std::exp(-2.0))) + (3 + std::log1p(std::exp(-3.0)));
  CHECK(loss == doctest::Approx(expected / 3));
  run(ctx, sigmoid_cross_entropy_backward,
      SigmoidCrossEntropyBackwardArgs<float>{.n = 2,
                                             .levels = 2,
                                             .logits = {{first.data(), 2}, {second.data(), 1}},
                                             .labels = labels.data(),
                                             .dloss = &dloss,
                                             .dlogits = {{dfirst.data(), 2}, {dsecond.data(), 1}},
                                             .accumulate = {Accumulate::no, Accumulate::no}});
  CHECK(dfirst[0] == -1);  // 6 / 3 (1 / 2 - 1)
  CHECK(dfirst[1] == doctest::Approx(2 * 0.8807970779));
  CHECK(dfirst[2] == 0);
  CHECK(dfirst[3] == 0);
  CHECK(dsecond[0] == 0);
  CHECK(dsecond[1] == doctest::Approx(2 * (0.0474258732 - 1)));
}

TEST_CASE("sigmoid_cross_entropy: logits of large magnitude neither overflow nor vanish") {
  const std::vector<float> x{1000, -1000, 1000, -1000};
  const std::vector<int32_t> labels{0, 1, 1, 0};
  const float dloss = 4;
  float loss = 0;
  std::vector<float> dx(4);
  Context ctx;
  run(ctx, sigmoid_cross_entropy,
      SigmoidCrossEntropyArgs<float>{
          .n = 1, .levels = 1, .logits = {{x.data(), 4}}, .labels = labels.data(), .loss = &loss});
  CHECK(loss == 500);
  run(ctx, sigmoid_cross_entropy_backward,
      SigmoidCrossEntropyBackwardArgs<float>{.n = 1,
                                             .levels = 1,
                                             .logits = {{x.data(), 4}},
                                             .labels = labels.data(),
                                             .dloss = &dloss,
                                             .dlogits = {{dx.data(), 4}},
                                             .accumulate = {Accumulate::no}});
  CHECK(dx == std::vector<float>{1, -1, 0, 0});
}

}  // namespace rcnn::kernels
