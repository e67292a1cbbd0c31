// The moving average of weights, against values worked out by hand.
#include "train/ema.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "core/cuda/device.h"

using namespace rcnn;

namespace {

/// A trained parameter, a frozen one and a running statistic.
struct Module {
  Var weight = Var::parameter(Tensor::of<float>({2}, {2, -1}));
  Var frozen{Tensor::of<float>({1}, {7})};
  Tensor mean = Tensor::of<float>({1}, {4});

  void visit(ParamVisitor& visitor) {
    visitor.parameter("weight", weight);
    visitor.parameter("frozen", frozen);
    visitor.buffer("mean", mean);
  }
};

Tensor flag(int32_t value) { return Tensor::of<int32_t>({}, {value}); }

void set(const Tensor& tensor, std::initializer_list<float> values) {
  std::copy(values.begin(), values.end(), tensor.mutable_values<float>().begin());
}

std::vector<float> values(const Tensor& tensor) {
  const Tensor host = tensor.to(Device{});
  const auto span = host.values<float>();
  return {span.begin(), span.end()};
}

/// Equal within a millionth; NaN never is.
bool near(const Tensor& found, const std::vector<float>& wanted) {
  const std::vector<float> list = values(found);
  bool all = list.size() == wanted.size();
  for (size_t i = 0; all && i < list.size(); ++i) all = std::abs(list[i] - wanted[i]) <= 1e-6f;
  return all;
}

}  // namespace

TEST_CASE("ema: the decay rises with the steps up to its setting") {
  CHECK(Ema::decay_at(0.999f, 0) == doctest::Approx(0.1));
  CHECK(Ema::decay_at(0.999f, 8) == doctest::Approx(0.5));
  CHECK(Ema::decay_at(0.999f, 90) == doctest::Approx(0.91));
  CHECK(Ema::decay_at(0.999f, 1000000) == 0.999f);
  CHECK(Ema::decay_at(0.05f, 0) == 0.05f);
}

TEST_CASE("ema: two hand-worked updates of weights and statistics; frozen ones are left out") {
  Context ctx;
  Module module;
  Ema ema(ctx, module, 0.9f);
  REQUIRE(ema.averages().size() == 2);
  CHECK(ema.averages()[0].name == "weight");
  CHECK(ema.averages()[1].name == "mean");
  CHECK(values(ema.averages()[0].average) == std::vector<float>{2, -1});

  set(module.weight.value(), {3, -1});
  set(module.mean, {14});
  ema.update(ctx, 0, flag(0));  // d = .1
  CHECK(near(ema.averages()[0].average, {2.9f, -1}));
  CHECK(near(ema.averages()[1].average, {13}));

  set(module.weight.value(), {0.9f, 1});
  ema.update(ctx, 8, flag(0));  // d = .5
  CHECK(near(ema.averages()[0].average, {1.9f, 0}));
  CHECK(near(ema.averages()[1].average, {13.5f}));
  CHECK(values(module.weight.value()) == std::vector<float>{0.9f, 1});
}

TEST_CASE("ema: a skipped step does not change the averages, even if the statistics have changed") {
  Context ctx;
  Module module;
  Ema ema(ctx, module, 0.9f);
  set(module.mean, {NAN});
  ema.update(ctx, 3, flag(1));
  CHECK(values(ema.averages()[1].average) == std::vector<float>{4});
}

TEST_CASE("ema: swap exchanges values and averages bit for bit, in place, and back") {
  Context ctx;
  Module module;
  Ema ema(ctx, module, 0.9f);
  set(module.weight.value(), {0.1f, -0.0f});
  ema.update(ctx, 0, flag(0));
  const auto weight = values(module.weight.value()), average = values(ema.averages()[0].average);
  const uint64_t storage = module.weight.value().storage().id, version = module.weight.value().version();
  ema.swap();
  CHECK(values(module.weight.value()) == average);
  CHECK(values(ema.averages()[0].average) == weight);
  CHECK(module.weight.value().storage().id == storage);
  CHECK(module.weight.value().version() > version);  // what was derived from the weights is stale
  CHECK_THROWS_WITH_AS(
      ema.update(ctx, 1, flag(0)),
      "the averages of the weights cannot be updated while they are swapped with the weights", Error);
  ema.swap();
  const auto back = values(module.weight.value());
  CHECK(std::memcmp(back.data(), weight.data(), sizeof(float) * 2) == 0);  // the sign of -0 too
  ema.update(ctx, 1, flag(0));
}

TEST_CASE("ema: restored averages continue as if they had never stopped") {
  Context ctx;
  Module module, resumed;
  Ema ema(ctx, module, 0.9f);
  set(module.weight.value(), {1, 5});
  ema.update(ctx, 0, flag(0));
  Ema other(ctx, resumed, 0.9f);
  for (size_t i = 0; i < 2; ++i) {
    other.averages()[i].value.copy_from(ema.averages()[i].value);
    other.averages()[i].average.copy_from(ema.averages()[i].average);
  }
  ema.update(ctx, 1, flag(0));
  other.update(ctx, 1, flag(0));
  CHECK(values(ema.averages()[0].average) == values(other.averages()[0].average));
}

TEST_CASE("cuda: ema has the averages of the CPU and does not wait") {
  if (cuda::device_count() == 0) {
    MESSAGE("skipped: no GPU, and none simulated (make CUDA=sim)");
    return;
  }
  const Device gpu{DeviceType::cuda, 0};
  Context ctx(gpu), cpu;
  Module module, host;
  move_to(module, gpu);
  Ema ema(ctx, module, 0.9f), expected(cpu, host, 0.9f);
  const Tensor skipped = flag(0).to(gpu), skips = flag(1).to(gpu);
  set(host.weight.value(), {0.3f, 5});
  module.weight.value().copy_from(host.weight.value().to(gpu));
  cuda::synchronize(gpu);
  cuda::reset_host_waits();
  ema.update(ctx, 2, skipped);
  ema.update(ctx, 3, skips);
  ema.swap();
  CHECK(cuda::total_host_waits().waits == 0);
  expected.update(cpu, 2, flag(0));
  CHECK(values(module.weight.value()) == values(expected.averages()[0].average));
  CHECK(values(ema.averages()[0].average) == values(host.weight.value()));
}
