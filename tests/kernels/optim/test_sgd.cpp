#include "kernels/optim/sgd_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(sgd)
VERIFY_OP(clip_gradients)

TEST_CASE("sgd: two steps with momentum, decay, rate factor and gradient scale, worked out by hand") {
  float weight = 2, momentum = 0, gradient = 3;
  const float rate = 0.1f, scale = 0.5f;
  const SgdParameter parameter{.weight = &weight,
                               .gradient = &gradient,
                               .momentum = &momentum,
                               .size = 1,
                               .rate_factor = 2,
                               .weight_decay = 0.25f};
  Context ctx;
  run(ctx, sgd,
      SgdArgs{.parameters = &parameter,
              .count = 1,
              .chunks = 1,
              .learning_rate = &rate,
              .momentum = 0.9f,
              .gradient_scale = &scale});
  CHECK(momentum == doctest::Approx(2));  // .5 * 3 + .25 * 2
  CHECK(weight == doctest::Approx(1.6));  // 2 - .1 * 2 * 2
  gradient = 1;
  run(ctx, sgd,
      SgdArgs{.parameters = &parameter, .count = 1, .chunks = 1, .learning_rate = &rate, .momentum = 0.9f});
  CHECK(momentum == doctest::Approx(3.2));  // .9 * 2 + 1 + .25 * 1.6
  CHECK(weight == doctest::Approx(0.96));
}

TEST_CASE("sgd: every element of every parameter is updated, also in chunks") {
  const auto cases = sgd_cases();
  Context ctx;
  const auto before = prepare_sgd(cases[1], Filler(9, Fill::normal));
  const auto after = prepare_sgd(cases[1], Filler(9, Fill::normal));
  run(ctx, sgd, after.args);
  for (int64_t i = 0; i < after.args.count; ++i) {
    const SgdParameter &old = before.args.parameters[i], &now = after.args.parameters[i];
    double largest = 0;
    for (int64_t k = 0; k < now.size; ++k) {
      const double w = static_cast<double>(old.weight[k]);
      const double g =
          static_cast<double>(*before.args.gradient_scale) * static_cast<double>(old.gradient[k]) +
          static_cast<double>(old.weight_decay) * w;
      const double m = static_cast<double>(0.9f) * static_cast<double>(old.momentum[k]) + g;
      const double rate = static_cast<double>(*before.args.learning_rate * old.rate_factor);
      const double error = std::fabs(static_cast<double>(now.momentum[k]) - m) +
                           std::fabs(static_cast<double>(now.weight[k]) - (w - rate * m));
      largest = error <= largest ? largest : error;  // keeps a NaN
    }
    CAPTURE(i);
    CHECK(largest <= 2e-6);
  }
}

TEST_CASE("sgd: a skipped step changes nothing, whatever the gradients contain") {
  float weight = 2, momentum = 1;
  const float gradient = std::numeric_limits<float>::quiet_NaN(), rate = 0.1f;
  const int32_t skip = 1;
  const SgdParameter parameter{.weight = &weight, .gradient = &gradient, .momentum = &momentum, .size = 1};
  Context ctx;
  run(ctx, sgd,
      SgdArgs{.parameters = &parameter,
              .count = 1,
              .chunks = 1,
              .learning_rate = &rate,
              .momentum = 0.9f,
              .skip = &skip});
  CHECK(weight == 2);
  CHECK(momentum == 1);
}

TEST_CASE("clip_gradients: the norm is over all parameters, and the scale reduces it to the maximum") {
  const std::vector<float> a{3, 0, 0}, b{4};
  SgdParameter parameters[] = {{.gradient = a.data(), .size = 3}, {.gradient = b.data(), .size = 1}};
  float norm = 0, scale = 0;
  int32_t skip = 0;
  Context ctx;
  run(ctx, clip_gradients,
      ClipGradientsArgs{.parameters = parameters,
                        .count = 2,
                        .chunks = number_chunks(parameters),
                        .max_norm = 2.5f,
                        .norm = &norm,
                        .scale = &scale,
                        .skip = &skip});
  CHECK(norm == 5);
  CHECK(scale == doctest::Approx(0.5));
  run(ctx, clip_gradients,
      ClipGradientsArgs{.parameters = parameters,
                        .count = 2,
                        .chunks = number_chunks(parameters),
                        .max_norm = 6,
                        .norm = &norm,
                        .scale = &scale,
                        .skip = &skip});
  CHECK(scale == 1);
  run(ctx, clip_gradients,
      ClipGradientsArgs{.parameters = parameters,
                        .count = 2,
                        .chunks = number_chunks(parameters),
                        .max_norm = std::numeric_limits<float>::infinity(),
                        .norm = &norm,
                        .scale = &scale});
  CHECK(scale == 1);
  CHECK(skip == 0);
}

TEST_CASE("clip_gradients: the norm includes all chunks and their remainders") {
  const std::vector<float> a(70001, 1.0f), b(17, 2.0f);
  SgdParameter parameters[] = {{.gradient = a.data(), .size = 70001},
                               {nullptr, nullptr, nullptr, 0, 1, 0},
                               {.gradient = b.data(), .size = 17}};
  float norm = 0, scale = 0;
  Context ctx;
  run(ctx, clip_gradients,
      ClipGradientsArgs{.parameters = parameters,
                        .count = 3,
                        .chunks = number_chunks(parameters),
                        .max_norm = 1,
                        .norm = &norm,
                        .scale = &scale});
  CHECK(norm == doctest::Approx(std::sqrt(70001.0 + 68.0)).epsilon(1e-7));
}

TEST_CASE("clip_gradients: if a gradient is not finite, the step is to be skipped") {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 3e38f}) {
    const std::vector<float> gradient{1, bad, bad, 2};
    const SgdParameter parameter{.gradient = gradient.data(), .size = 4};
    float norm = 0, scale = 0;
    int32_t skip = 0;
    Context ctx;
    run(ctx, clip_gradients,
        ClipGradientsArgs{.parameters = &parameter,
                          .count = 1,
                          .chunks = 1,
                          .max_norm = 1,
                          .norm = &norm,
                          .scale = &scale,
                          .skip = &skip});
    CHECK(skip == 1);
    run(ctx, clip_gradients,
        ClipGradientsArgs{.parameters = &parameter,
                          .count = 1,
                          .chunks = 1,
                          .max_norm = 1,
                          .norm = &norm,
                          .scale = &scale});
  }
}

}  // namespace rcnn::kernels
