#include "kernels/loss/softmax_cross_entropy_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(softmax_cross_entropy)
VERIFY_OP(softmax_cross_entropy_backward)

TEST_CASE("softmax_cross_entropy: three rows worked out by hand, of which one is ignored and NaN") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x{1, 2, 3, nan, nan, nan, 5, 5, 5};
  const std::vector<int32_t> labels{0, -1, 2};
  const float dloss = 2;
  float loss = nan;
  std::vector<float> dx(9, nan);
  Context ctx;
  run(ctx, softmax_cross_entropy,
      SoftmaxCrossEntropyArgs<float>{
          .rows = 3, .c = 3, .logits = x.data(), .labels = labels.data(), .loss = &loss});
  CHECK(loss == doctest::Approx((2.40760596 + std::log(3.0)) / 2));  // mean of two rows
  run(ctx, softmax_cross_entropy_backward,
      SoftmaxCrossEntropyBackwardArgs<float>{.rows = 3,
                                             .c = 3,
                                             .logits = x.data(),
                                             .labels = labels.data(),
                                             .dloss = &dloss,
                                             .dlogits = dx.data()});
  const std::vector<double> expected{0.09003057 - 1, 0.24472847, 0.66524096, 0, 0, 0,
                                     1.0 / 3,        1.0 / 3,    -2.0 / 3};
  for (size_t i = 0; i < 9; ++i) CHECK(dx[i] == doctest::Approx(expected[i]));
  for (size_t i = 3; i < 6; ++i) CHECK(dx[i] == 0);
}

TEST_CASE("softmax_cross_entropy: large logits give a finite loss, which is 0 if no row is counted") {
  const std::vector<float> x{1000, -1000};
  int32_t label = 1;
  float loss = -1;
  Context ctx;
  run(ctx, softmax_cross_entropy,
      SoftmaxCrossEntropyArgs<float>{.rows = 1, .c = 2, .logits = x.data(), .labels = &label, .loss = &loss});
  CHECK(loss == 2000);
  label = -1;
  run(ctx, softmax_cross_entropy,
      SoftmaxCrossEntropyArgs<float>{.rows = 1, .c = 2, .logits = x.data(), .labels = &label, .loss = &loss});
  CHECK(loss == 0);
}

TEST_CASE("softmax_cross_entropy: a label that is not a class is an error") {
  const std::vector<float> x{1, 2};
  const int32_t label = 2;
  float loss = 0;
  Context ctx;
  CHECK_THROWS_WITH_AS(run(ctx, softmax_cross_entropy,
                           SoftmaxCrossEntropyArgs<float>{
                               .rows = 1, .c = 2, .logits = x.data(), .labels = &label, .loss = &loss}),
                       "softmax_cross_entropy: label 2 in row 0, but there are 2 classes", Error);
}

}  // namespace rcnn::kernels
