#include <cstring>

#if !defined(RCNN_STD_THREADS)
#include <omp.h>
#endif

#include "core/parallel.h"
#include "kernels/norm/batch_norm_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {

VERIFY_OP(batch_norm)
VERIFY_OP(batch_norm_backward)
VERIFY_OP(batch_norm_moments)
VERIFY_OP(sync_batch_norm)
VERIFY_OP(batch_norm_gradient_sums)
VERIFY_OP(sync_batch_norm_backward)

TEST_CASE("batch_norm_backward: omitting some gradients does not change the others") {
  const BatchNormCase c{61, 5, true, true};
  const auto all = prepare_batch_norm_backward<float>(c, Filler(3, Fill::normal));
  Context ctx;
  run(ctx, batch_norm_backward, all.args);
  for (size_t only = 0; only < 4; ++only) {  // dx, dweight, dbias, dresidual
    const auto make = [&] {
      auto one = prepare_batch_norm_backward<float>(c, Filler(3, Fill::normal));
      if (only != 0) one.args.dx = nullptr;
      if (only != 1) one.args.dweight = nullptr;
      if (only != 2) one.args.dbias = nullptr;
      if (only != 3) one.args.dresidual = nullptr;
      return one;
    };
    hand_worked(batch_norm_backward, make, [&](const auto& outputs) {
      const auto expected = all.outputs[only].template values<float>();
      for (size_t i = 0; i < expected.size(); ++i)
        CHECK(outputs[only][i] == doctest::Approx(expected[i]).epsilon(1e-6));
      for (size_t o = 0; o < 4; ++o)
        if (o != only) CHECK(std::isnan(outputs[o][0]));
    });
  }
}

TEST_CASE("sync_batch_norm: three batches of different sizes have the numbers of one that holds them all") {
  constexpr int64_t kC = 5, kBatches = 3;
  constexpr int64_t kRows[kBatches] = {40, 1, 83}, kFirst[kBatches] = {0, 40, 41};
  const BatchNormCase whole{40 + 1 + 83, kC, true, true, 100};
  const auto one = prepare_batch_norm<double>(whole, Filler(5, Fill::normal));
  auto back = prepare_batch_norm_backward<double>(whole, Filler(6, Fill::normal));
  back.args.x = one.args.x;
  back.args.weight = one.args.weight;
  back.args.mean = one.args.mean;
  back.args.inverse_deviation = one.args.inverse_deviation;
  back.args.y = one.args.y;
  // What the batches write: the same kinds of tensors, filled with NaN or with the statistics before.
  const auto forward_of = prepare_batch_norm<double>(whole, Filler(5, Fill::normal));
  const auto backward_of = prepare_batch_norm_backward<double>(whole, Filler(6, Fill::normal));
  Context ctx;
  run(ctx, batch_norm, one.args);
  run(ctx, batch_norm_backward, back.args);

  const Tensor moments = Tensor::empty({kBatches, batch_norm_row(kC)}, DType::f64),
               sums = Tensor::empty({kBatches, batch_norm_row(kC)}, DType::f64);
  const auto row_of = [&](const Tensor& table, int64_t batch) {
    return table.mutable_data<double>() + batch * batch_norm_row(kC);
  };
  for (int64_t i = 0; i < kBatches; ++i)
    run(ctx, batch_norm_moments,
        BatchNormMomentsArgs<double>{
            .rows = kRows[i], .c = kC, .x = one.args.x + kFirst[i] * kC, .moments = row_of(moments, i)});
  for (int64_t i = 0; i < kBatches; ++i) {
    SyncBatchNormArgs<double> args{forward_of.args};
    args.rows = kRows[i];
    for (const double** p : {&args.x, &args.residual}) *p += kFirst[i] * kC;
    args.y += kFirst[i] * kC;
    if (i > 0) args.running_mean = args.running_var = nullptr;  // they move once
    args.batches = kBatches;
    args.moments = moments.data<double>();
    run(ctx, sync_batch_norm, args);
  }
  const auto batch_of_gradient = [&](int64_t i) {
    SyncBatchNormBackwardArgs<double> args{back.args};
    args.rows = kRows[i];
    for (const double** p : {&args.x, &args.y, &args.dy}) *p += kFirst[i] * kC;
    args.dx = backward_of.args.dx + kFirst[i] * kC;
    args.dresidual = nullptr;
    args.dweight = backward_of.args.dweight;
    args.dbias = backward_of.args.dbias;
    args.accumulate_weight = args.accumulate_bias = i > 0 ? Accumulate::yes : Accumulate::no;
    args.batches = kBatches;
    args.own = i;
    args.sums = sums.data<double>();
    return args;
  };
  for (int64_t i = 0; i < kBatches; ++i) {
    const auto args = batch_of_gradient(i);
    run(ctx, batch_norm_gradient_sums,
        BatchNormGradientSumsArgs<double>{.rows = args.rows,
                                          .c = kC,
                                          .x = args.x,
                                          .mean = args.mean,
                                          .y = args.y,
                                          .dy = args.dy,
                                          .relu = true,
                                          .dresidual = backward_of.args.dresidual + kFirst[i] * kC,
                                          .sums = row_of(sums, i)});
  }
  for (int64_t i = 0; i < kBatches; ++i) run(ctx, sync_batch_norm_backward, batch_of_gradient(i));

  const auto compare = [](const auto& found, const auto& expected) {
    REQUIRE(found.outputs.size() == expected.outputs.size());
    for (size_t o = 0; o < found.outputs.size(); ++o) {
      CAPTURE(o);
      const auto a = found.outputs[o].template values<double>(),
                 b = expected.outputs[o].template values<double>();
      for (size_t k = 0; k < a.size(); ++k) CHECK(std::fabs(a[k] - b[k]) <= 1e-11 * (1 + std::fabs(b[k])));
    }
  };
  compare(forward_of, one);
  compare(backward_of, back);
}

VERIFY_OP(fold_batch_norm)

/// An example with weights of 1 and biases of 0. Its outputs are mean, inverse_deviation, y, and the running
/// statistics if they are given.
Prepared<BatchNormArgs<float>> example(int64_t c, const std::vector<float>& x,
                                       const std::vector<float>& running_mean = {},
                                       const std::vector<float>& running_var = {}) {
  Prepared<BatchNormArgs<float>> p;
  const size_t channels = static_cast<size_t>(c);
  const std::vector<float> blank(channels, -1);
  p.args.rows = static_cast<int64_t>(x.size()) / c;
  p.args.c = c;
  p.args.x = given(p, x);
  p.args.weight = given(p, std::vector<float>(channels, 1));
  p.args.bias = given(p, std::vector<float>(channels, 0));
  p.args.momentum = 0.1f;
  p.args.mean = result(p, blank);
  p.args.inverse_deviation = result(p, blank);
  p.args.y = result(p, std::vector<float>(x.size(), -1));
  if (!running_mean.empty()) p.args.running_mean = result(p, running_mean);
  if (!running_var.empty()) p.args.running_var = result(p, running_var);
  return p;
}

TEST_CASE("batch_norm: four values worked out by hand") {
  // mean 2.5, variance 5 / 4, unbiased 5 / 3; running = .9 old + .1 new.
  const auto make = [] {
    auto p = example(1, {1, 2, 3, 4}, {1}, {2});
    p.args.weight = given(p, {2});
    p.args.bias = given(p, {0.5f});
    p.args.residual = given(p, {0, 0, 1, -9});
    p.args.relu = true;
    return p;
  };
  hand_worked(batch_norm, make, [](const auto& outputs) {
    CHECK(outputs[0][0] == 2.5f);
    CHECK(outputs[1][0] == doctest::Approx(0.8944272));
    const std::vector<float>& y = outputs[2];
    CHECK(y[0] == 0);  // 2 * -1.5 * .894 + .5 < 0
    CHECK(y[1] == 0);
    CHECK(y[2] == doctest::Approx(2 * 0.5 * 0.8944272 + 0.5 + 1));
    CHECK(y[3] == 0);
    CHECK(outputs[3][0] == doctest::Approx(1.15));
    CHECK(outputs[4][0] == doctest::Approx(1.8 + 1.0 / 6));
  });
}

TEST_CASE("batch_norm: the variance is right even if a float cannot represent the mean") {
  // Half of the values are 2^24, half 2^24 + 2. The mean 2^24 + 1 is not a float; the variance is 1.
  std::vector<float> x(1000, 16777216.0f);
  for (size_t i = 0; i < x.size(); i += 2) x[i] += 2;
  hand_worked(
      batch_norm, [&] { return example(1, x); },
      [](const auto& outputs) { CHECK(outputs[1][0] == doctest::Approx(1)); });
}

TEST_CASE("batch_norm: running statistics may be omitted, and no rows leave them unchanged") {
  const auto one_row = [] {
    auto p = example(1, {3});
    p.args.eps = 1;
    return p;
  };
  hand_worked(batch_norm, one_row, [](const auto& outputs) {
    CHECK(outputs[0][0] == 3);
    CHECK(outputs[1][0] == 1);
    CHECK(outputs[2][0] == 0);
  });
  const auto no_row = [] {
    auto p = example(1, {}, {7}, {8});
    p.args.eps = 1;
    return p;
  };
  hand_worked(batch_norm, no_row, [](const auto& outputs) {
    CHECK(outputs[0][0] == 0);
    CHECK(outputs[1][0] == 1);
    CHECK(outputs[3][0] == 7);
    CHECK(outputs[4][0] == 8);
  });
}

TEST_CASE("batch_norm: a NaN passes the ReLU to the output of its channel, but to no other channel") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto make = [&] {
    auto p = example(2, {1, nan, 3, 4});
    p.args.relu = true;
    p.args.eps = 1e-5f;
    return p;
  };
  hand_worked(batch_norm, make, [](const auto& outputs) {
    const std::vector<float>& y = outputs[2];
    CHECK(y[0] == 0);
    CHECK(y[2] == doctest::Approx(1));
    CHECK(std::isnan(y[1]));
    CHECK(std::isnan(y[3]));
    CHECK(std::isnan(outputs[1][1]));
  });
}

#if !defined(RCNN_STD_THREADS)
TEST_CASE("batch_norm: one thread and five threads give the same bits") {
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
