#include "kernels/optim/sgd_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(sgd)
VERIFY_OP(clip_gradients)

TEST_CASE("sgd: two steps by hand, with momentum, decay, a rate factor and a gradient scale") {
  float weight = 2, momentum = 0, gradient = 3;
  const float rate = 0.1f, scale = 0.5f;
  const SgdParameter parameter{&weight, &gradient, &momentum, 1, 2, 0.25f};
  Context ctx;
  run(ctx, sgd, SgdArgs{&parameter, 1, 1, &rate, 0.9f, &scale, nullptr});
  CHECK(momentum == doctest::Approx(2));  // .5 * 3 + .25 * 2
  CHECK(weight == doctest::Approx(1.6));  // 2 - .1 * 2 * 2
  gradient = 1;
  run(ctx, sgd, SgdArgs{&parameter, 1, 1, &rate, 0.9f, nullptr, nullptr});
  CHECK(momentum == doctest::Approx(3.2));  // .9 * 2 + 1 + .25 * 1.6
  CHECK(weight == doctest::Approx(0.96));
}

TEST_CASE("sgd: every element of every parameter takes the step, in chunks too") {
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
      largest = error <= largest ? largest : error;  // a NaN stays
    }
    CAPTURE(i);
    CHECK(largest <= 2e-6);
  }
}

TEST_CASE("sgd: a skipped step changes nothing, whatever the gradients are") {
  float weight = 2, momentum = 1;
  const float gradient = std::numeric_limits<float>::quiet_NaN(), rate = 0.1f;
  const int32_t skip = 1;
  const SgdParameter parameter{&weight, &gradient, &momentum, 1, 1, 0};
  Context ctx;
  run(ctx, sgd, SgdArgs{&parameter, 1, 1, &rate, 0.9f, nullptr, &skip});
  CHECK(weight == 2);
  CHECK(momentum == 1);
}

TEST_CASE("clip_gradients: the norm over all parameters, and the scale that brings it to the largest") {
  const std::vector<float> a{3, 0, 0}, b{4};
  SgdParameter parameters[] = {{nullptr, a.data(), nullptr, 3, 1, 0}, {nullptr, b.data(), nullptr, 1, 1, 0}};
  float norm = 0, scale = 0;
  int32_t skip = 0;
  Context ctx;
  run(ctx, clip_gradients,
      ClipGradientsArgs{parameters, 2, number_chunks(parameters), 2.5f, &norm, &scale, &skip});
  CHECK(norm == 5);
  CHECK(scale == doctest::Approx(0.5));
  run(ctx, clip_gradients,
      ClipGradientsArgs{parameters, 2, number_chunks(parameters), 6, &norm, &scale, &skip});
  CHECK(scale == 1);
  run(ctx, clip_gradients,
      ClipGradientsArgs{parameters, 2, number_chunks(parameters), std::numeric_limits<float>::infinity(),
                        &norm, &scale, nullptr});
  CHECK(scale == 1);
  CHECK(skip == 0);
}

TEST_CASE("clip_gradients: chunks and odd ends are all in the norm") {
  const std::vector<float> a(70001, 1.0f), b(17, 2.0f);
  SgdParameter parameters[] = {{nullptr, a.data(), nullptr, 70001, 1, 0},
                               {nullptr, nullptr, nullptr, 0, 1, 0},
                               {nullptr, b.data(), nullptr, 17, 1, 0}};
  float norm = 0, scale = 0;
  Context ctx;
  run(ctx, clip_gradients,
      ClipGradientsArgs{parameters, 3, number_chunks(parameters), 1, &norm, &scale, nullptr});
  CHECK(norm == doctest::Approx(std::sqrt(70001.0 + 68.0)).epsilon(1e-7));
}

TEST_CASE("clip_gradients: a gradient that is not finite asks for the step to be skipped") {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 3e38f}) {
    const std::vector<float> gradient{1, bad, bad, 2};
    const SgdParameter parameter{nullptr, gradient.data(), nullptr, 4, 1, 0};
    float norm = 0, scale = 0;
    int32_t skip = 0;
    Context ctx;
    run(ctx, clip_gradients, ClipGradientsArgs{&parameter, 1, 1, 1, &norm, &scale, &skip});
    CHECK(skip == 1);
    run(ctx, clip_gradients, ClipGradientsArgs{&parameter, 1, 1, 1, &norm, &scale, nullptr});
  }
}

}  // namespace rcnn::kernels
