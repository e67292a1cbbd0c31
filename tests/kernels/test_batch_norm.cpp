#include <cstring>

#if !defined(RCNN_STD_THREADS)
#include <omp.h>
#endif

#include "core/parallel.h"
#include "kernels/batch_norm_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

TEST_CASE("batch_norm: every variant agrees with the reference in double") {
  verify(batch_norm, batch_norm_cases(),
         [](auto zero, const auto& c, Filler fill) { return prepare_batch_norm<decltype(zero)>(c, fill); });
}

TEST_CASE("batch_norm_backward: every variant agrees with the reference in double") {
  verify(batch_norm_backward, batch_norm_cases(), [](auto zero, const auto& c, Filler fill) {
    return prepare_batch_norm_backward<decltype(zero)>(c, fill);
  });
}

TEST_CASE("batch_norm_backward: what is not wanted is left alone, the rest is as before") {
  const BatchNormCase c{61, 5, true, true};
  Context ctx;
  for (const auto& variant : batch_norm_backward.variants) {
    auto all = prepare_batch_norm_backward<float>(c, Filler(3, Fill::normal));
    variant.run(ctx.stream, ctx.workspace, all.args);
    for (size_t only = 0; only < 4; ++only) {  // dx, dweight, dbias, dresidual
      auto one = prepare_batch_norm_backward<float>(c, Filler(3, Fill::normal));
      if (only != 0) one.args.dx = nullptr;
      if (only != 1) one.args.dweight = nullptr;
      if (only != 2) one.args.dbias = nullptr;
      if (only != 3) one.args.dresidual = nullptr;
      variant.run(ctx.stream, ctx.workspace, one.args);
      const std::vector<double> bound(static_cast<size_t>(all.outputs[only].numel()), 1e-6);
      CHECK(difference(one.outputs[only], all.outputs[only], bound) == "");
    }
  }
}

TEST_CASE("fold_batch_norm: agrees with the reference in double") {
  verify(fold_batch_norm, batch_norm_cases(), [](auto zero, const auto& c, Filler fill) {
    return prepare_fold_batch_norm<decltype(zero)>(c, fill);
  });
}

TEST_CASE("batch_norm: four values by hand") {
  // mean 2.5, variance 5 / 4, unbiased 5 / 3; running = .9 old + .1 new.
  const std::vector<float> x{1, 2, 3, 4}, residual{0, 0, 1, -9};
  const float weight = 2, bias = 0.5f;
  for (const auto& variant : batch_norm.variants) {
    Context ctx;
    float running_mean = 1, running_var = 2, mean = 0, inverse = 0;
    std::vector<float> y(4);
    variant.run(ctx.stream, ctx.workspace,
                {4, 1, x.data(), &weight, &bias, residual.data(), true, 0, 0.1f, &running_mean, &running_var,
                 &mean, &inverse, y.data()});
    CHECK(mean == 2.5f);
    CHECK(inverse == doctest::Approx(0.8944272));
    CHECK(running_mean == doctest::Approx(1.15));
    CHECK(running_var == doctest::Approx(1.8 + 1.0 / 6));
    CHECK(y[0] == 0);  // 2 * -1.5 * .894 + .5 < 0
    CHECK(y[1] == 0);
    CHECK(y[2] == doctest::Approx(2 * 0.5 * 0.8944272 + 0.5 + 1));
    CHECK(y[3] == 0);
  }
}

TEST_CASE("batch_norm: the variance holds where a float cannot hold the mean") {
  // Half the values are 2^24, half 2^24 + 2: the mean 2^24 + 1 is no float, the variance is 1.
  std::vector<float> x(1000, 16777216.0f), y(1000);
  for (size_t i = 0; i < x.size(); i += 2) x[i] += 2;
  const float weight = 1, bias = 0;
  for (const auto& variant : batch_norm.variants) {
    Context ctx;
    float mean = 0, inverse = 0;
    variant.run(ctx.stream, ctx.workspace,
                {1000, 1, x.data(), &weight, &bias, nullptr, false, 0, 0.1f, nullptr, nullptr, &mean,
                 &inverse, y.data()});
    CHECK(inverse == doctest::Approx(1));
  }
}

TEST_CASE("batch_norm: running statistics need not be kept, and no row leaves them alone") {
  const float weight = 1, bias = 0, x = 3;
  for (const auto& variant : batch_norm.variants) {
    Context ctx;
    float mean = -1, inverse = -1, y = -1, running_mean = 7, running_var = 8;
    variant.run(ctx.stream, ctx.workspace,
                {1, 1, &x, &weight, &bias, nullptr, false, 1, 0.1f, nullptr, nullptr, &mean, &inverse, &y});
    CHECK(mean == 3);
    CHECK(inverse == 1);
    CHECK(y == 0);
    variant.run(ctx.stream, ctx.workspace,
                {0, 1, &x, &weight, &bias, nullptr, false, 1, 0.1f, &running_mean, &running_var, &mean,
                 &inverse, &y});
    CHECK(running_mean == 7);
    CHECK(running_var == 8);
    CHECK(mean == 0);
  }
}

TEST_CASE("batch_norm: a NaN reaches its channel's output through the ReLU, and no other channel") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x{1, nan, 3, 4}, weight{1, 1}, bias{0, 0};
  for (const auto& variant : batch_norm.variants) {
    Context ctx;
    std::vector<float> mean(2), inverse(2), y(4);
    variant.run(ctx.stream, ctx.workspace,
                {2, 2, x.data(), weight.data(), bias.data(), nullptr, true, 1e-5f, 0.1f, nullptr, nullptr,
                 mean.data(), inverse.data(), y.data()});
    CHECK(y[0] == 0);
    CHECK(y[2] == doctest::Approx(1));
    CHECK(std::isnan(y[1]));
    CHECK(std::isnan(y[3]));
    CHECK(std::isnan(inverse[1]));
  }
}

#if !defined(RCNN_STD_THREADS)
TEST_CASE("batch_norm: the same bits on one and on five threads") {
  const BatchNormCase c{20011, 7, true, true};
  const int threads = thread_count();
  const auto run_on = [&](int count) {
    omp_set_num_threads(count);
    Context ctx;
    auto forward = prepare_batch_norm<float>(c, Filler(5, Fill::normal));
    auto backward = prepare_batch_norm_backward<float>(c, Filler(6, Fill::normal));
    run(ctx, batch_norm, forward.args);
    run(ctx, batch_norm_backward, backward.args);
    omp_set_num_threads(threads);
    forward.outputs.insert(forward.outputs.end(), backward.outputs.begin(), backward.outputs.end());
    return forward.outputs;
  };
  const auto one = run_on(1), five = run_on(5);
  for (size_t o = 0; o < one.size(); ++o) {
    CAPTURE(o);
    CHECK(std::memcmp(one[o].raw(), five[o].raw(), one[o].bytes()) == 0);
  }
}
#endif

}  // namespace rcnn::kernels
