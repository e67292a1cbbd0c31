#include "kernels/loss/smooth_l1_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(smooth_l1)
VERIFY_OP(smooth_l1_backward)

TEST_CASE("smooth_l1: parabola and line, divided by the number of labels >= 0, worked out by hand") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  // Row 0 is negative (and counted), row 1 is positive, row 2 is ignored.
  const std::vector<int32_t> labels{0, 1, -1};
  const std::vector<float> targets{nan, nan, nan, nan, 1, 1, 1, 1, nan, nan, nan, nan};
  const std::vector<float> prediction{nan, nan, nan, nan, 1.25f, 0.75f, 3, 1, nan, nan, nan, nan};
  const float dloss = 2;
  Context ctx;
  const auto evaluate = [&](float beta, float& loss, std::vector<float>& dx) {
    run(ctx, smooth_l1,
        SmoothL1Args<float>{.n = 1,
                            .levels = 1,
                            .prediction = {{prediction.data(), 3}},
                            .columns = 1,
                            .targets = targets.data(),
                            .labels = labels.data(),
                            .beta = beta,
                            .loss = &loss});
    run(ctx, smooth_l1_backward,
        SmoothL1BackwardArgs<float>{.n = 1,
                                    .levels = 1,
                                    .prediction = {{prediction.data(), 3}},
                                    .columns = 1,
                                    .targets = targets.data(),
                                    .labels = labels.data(),
                                    .beta = beta,
                                    .dloss = &dloss,
                                    .dprediction = {{dx.data(), 3}},
                                    .accumulate = {Accumulate::no}});
  };
  float loss = nan;
  std::vector<float> dx(12, nan);
  evaluate(0.5f, loss, dx);  // d = .25 -.25 2 0: .0625 + .0625 + 1.75 + 0
  CHECK(loss == 1.875f / 2);
  CHECK(dx == std::vector<float>{0, 0, 0, 0, 0.5f, -0.5f, 1, 0, 0, 0, 0, 0});
  evaluate(0, loss, dx);  // plain L1
  CHECK(loss == 2.5f / 2);
  CHECK(dx == std::vector<float>{0, 0, 0, 0, 1, -1, 1, 0, 0, 0, 0, 0});
}

TEST_CASE("smooth_l1: with one column per class, only the label's column is read and gets a gradient") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const int32_t label = 2;
  const std::vector<float> targets{0, 0, 0, 0};
  std::vector<float> prediction(12, nan), dx(12, nan);
  std::fill(prediction.begin() + 8, prediction.end(), 3.0f);
  const float dloss = 1;
  float loss = nan;
  Context ctx;
  run(ctx, smooth_l1,
      SmoothL1Args<float>{.n = 1,
                          .levels = 1,
                          .prediction = {{prediction.data(), 1}},
                          .columns = 3,
                          .targets = targets.data(),
                          .labels = &label,
                          .beta = 1,
                          .loss = &loss});
  CHECK(loss == 10);
  run(ctx, smooth_l1_backward,
      SmoothL1BackwardArgs<float>{.n = 1,
                                  .levels = 1,
                                  .prediction = {{prediction.data(), 1}},
                                  .columns = 3,
                                  .targets = targets.data(),
                                  .labels = &label,
                                  .beta = 1,
                                  .dloss = &dloss,
                                  .dprediction = {{dx.data(), 1}},
                                  .accumulate = {Accumulate::no}});
  CHECK(dx == std::vector<float>{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1});
  CHECK_THROWS_WITH_AS(run(ctx, smooth_l1,
                           SmoothL1Args<float>{.n = 1,
                                               .levels = 1,
                                               .prediction = {{prediction.data(), 1}},
                                               .columns = 2,
                                               .targets = targets.data(),
                                               .labels = &label,
                                               .beta = 1,
                                               .loss = &loss}),
                       "smooth_l1: label 2, but there are 2 columns", Error);
}

TEST_CASE("smooth_l1: a NaN in a positive row appears in the loss and in the gradient") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const int32_t label = 1;
  const std::vector<float> targets{0, 0, 0, 0}, prediction{0, nan, 0, 0};
  std::vector<float> dx(4);
  const float dloss = 1;
  float loss = 0;
  Context ctx;
  run(ctx, smooth_l1,
      SmoothL1Args<float>{.n = 1,
                          .levels = 1,
                          .prediction = {{prediction.data(), 1}},
                          .columns = 1,
                          .targets = targets.data(),
                          .labels = &label,
                          .beta = 1,
                          .loss = &loss});
  CHECK(std::isnan(loss));
  run(ctx, smooth_l1_backward,
      SmoothL1BackwardArgs<float>{.n = 1,
                                  .levels = 1,
                                  .prediction = {{prediction.data(), 1}},
                                  .columns = 1,
                                  .targets = targets.data(),
                                  .labels = &label,
                                  .beta = 1,
                                  .dloss = &dloss,
                                  .dprediction = {{dx.data(), 1}},
                                  .accumulate = {Accumulate::no}});
  CHECK(std::isnan(dx[1]));
  CHECK(dx[0] == 0);
}

}  // namespace rcnn::kernels
