// A training step on several batches against their gradients one by one.
#include "train/step.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "tests/train/tiny_run.h"

using namespace rcnn;

namespace {

/// A batch of noise; `seed` chooses the images.
TrainingBatch noise(uint64_t seed, int64_t width) {
  RandomSequence random(seed, Purpose::test);
  const Tensor pixels = Tensor::empty({2, 64, width, 3}, DType::f32);
  for (float& value : pixels.mutable_values<float>()) value = random.normal();
  const float w = static_cast<float>(width);
  const auto id = static_cast<int32_t>(seed * 2);
  return {{pixels, Tensor::of<float>({2, 2}, {64, w, 64, w})},
          {Tensor::of<float>({2, 2, 4}, {4, 5, 30, 40, 20, 12, 60, 50, 10, 8, 44, 40, 0, 0, 0, 0}),
           Tensor::of<int32_t>({2, 2}, {1, 2, 1, 0}), Tensor::of<int32_t>({2}, {2, 1}),
           Tensor::of<int32_t>({2}, {id, id + 1})}};
}

std::vector<Tensor> weights(FasterRcnn& model) {
  std::vector<Tensor> list;
  for_each_parameter(model, [&](const std::string&, Var& v) { list.push_back(v.value().clone()); });
  return list;
}

/// A model that always starts with the same values, and its step: weight -= rate * gradient.
struct Trained {
  Context ctx;
  FasterRcnn model{fixtures::tiny_model(), 2, Init(3)};
  Sgd sgd{ctx, model, {.momentum = 0, .weight_decay = 0, .clip_norm = 0}};
  TrainingStep step{ctx, model, sgd, false};
};

float value(const Var& v) { return v.value().item<float>(); }

}  // namespace

TEST_CASE("step: the same batch twice equals the batch once, except for the order of the sums") {
  const TrainingBatch batch = noise(1, 96), twice[] = {batch, batch};
  Trained once, both;
  const auto before = weights(once.model);
  const Losses a = once.step.run(4, 1, batch), b = both.step.run(4, 1, twice);
  CHECK(value(a.total) == value(b.total));
  const auto expected = weights(once.model), found = weights(both.model);
  for (size_t p = 0; p < expected.size(); ++p) {
    double square = 0, difference = 0;
    for (int64_t i = 0; i < found[p].numel(); ++i) {
      const auto at = [i](const Tensor& t) { return static_cast<double>(t.data<float>()[i]); };
      square += std::pow(at(expected[p]) - at(before[p]), 2) + 1e-12 * std::pow(at(before[p]), 2);
      difference += std::pow(at(expected[p]) - at(found[p]), 2);
    }
    CAPTURE(p);
    CHECK(std::sqrt(difference) <= 1e-4 * std::sqrt(square));
  }
}

TEST_CASE("step: several batches give the mean of their losses and of their gradients") {
  const TrainingBatch batches[] = {noise(1, 96), noise(2, 64), noise(3, 96)};
  std::vector<std::vector<double>> mean;
  double total = 0, box = 0;
  for (const TrainingBatch& batch : batches) {
    Trained alone;
    alone.ctx.step.fill(4);
    alone.ctx.training = alone.ctx.grad = true;
    const Losses losses = alone.model.losses(alone.ctx, batch.images, batch.truth);
    backward(alone.ctx, losses.total);
    total += static_cast<double>(value(losses.total)) / 3;
    box += static_cast<double>(value(losses.rpn_box)) / 3;
    size_t next = 0;
    for_each_parameter(alone.model, [&](const std::string&, Var& v) {
      if (next == mean.size()) mean.emplace_back(static_cast<size_t>(v.value().numel()));
      const auto gradient = v.gradient().values<float>();
      for (size_t i = 0; i < gradient.size(); ++i) mean[next][i] += static_cast<double>(gradient[i]) / 3;
      ++next;
    });
  }
  Trained all;
  const auto before = weights(all.model);
  const Losses losses = all.step.run(4, 1, batches);
  CHECK(static_cast<double>(value(losses.total)) == doctest::Approx(total).epsilon(1e-5));
  CHECK(static_cast<double>(value(losses.rpn_box)) == doctest::Approx(box).epsilon(1e-5));
  CHECK_FALSE(losses.total.requires_grad());
  const auto after = weights(all.model);
  REQUIRE(mean.size() == after.size());
  double square = 0, difference = 0;
  for (size_t p = 0; p < mean.size(); ++p)
    for (size_t i = 0; i < mean[p].size(); ++i) {
      const double moved = static_cast<double>(before[p].values<float>()[i]) -
                           static_cast<double>(after[p].values<float>()[i]);
      square += mean[p][i] * mean[p][i];
      difference += (moved - mean[p][i]) * (moved - mean[p][i]);
    }
  CHECK(square > 0);
  CHECK(std::sqrt(difference / square) <= 1e-4);
}

TEST_CASE("step: one bad batch of several skips the whole step") {
  TrainingBatch batches[] = {noise(1, 96), noise(2, 96)};
  batches[1].images.pixels.mutable_values<float>()[100] = NAN;
  Trained trained;
  const auto before = weights(trained.model);
  trained.step.run(0, 0.1f, batches);
  CHECK_FALSE(std::isfinite(trained.sgd.norm().item<float>()));
  CHECK(trained.sgd.skipped().item<int32_t>() == 1);
  const auto after = weights(trained.model);
  CHECK(std::memcmp(before[0].raw(), after[0].raw(), after[0].bytes()) == 0);
  trained.step.run(1, 0.1f, {batches, 1});
  CHECK(trained.sgd.skipped().item<int32_t>() == 0);
  CHECK_THROWS_WITH_AS(trained.step.run(2, 0.1f, std::span<const TrainingBatch>()),
                       "a training step without a batch", Error);
}
