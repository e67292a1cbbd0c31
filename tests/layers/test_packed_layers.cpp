// Layers on tensor cores, which hand packed operands to each other.
#include <doctest/doctest.h>

#include <map>
#include <string>

#include "core/cuda/device.h"
#include "core/op_observer.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "tests/layers/random_gradient.h"

namespace rcnn {
namespace {

constexpr Device kGpu{DeviceType::cuda, 0};

using fixtures::random_tensor;
using fixtures::RandomGradient;

Tensor on_gpu(const Shape& shape, uint64_t seed) { return random_tensor(shape, seed).to(kGpu); }

struct Counts : OpObserver {
  std::map<std::string, int> calls;
  void op_begins(const OpCall&) override {}
  void op_ends(const OpCall& call) override { ++calls[call.op]; }
};

struct Outcome {
  std::vector<std::vector<float>> values;
  std::map<std::string, int> calls;
};

/// Two steps of a small network with a frozen BatchNorm's scales, a residual, a strided layer, biases and
/// linear layers. `apart` keeps the layers from handing anything to each other.
Outcome run_network(Precision precision, bool apart) {
  Context ctx(kGpu);
  ctx.precision = precision;
  ctx.grad = ctx.training = true;
  Counts counts;
  ctx.observer = &counts;
  std::vector<Var> leaves;
  const auto leaf = [&](const Shape& shape) {
    leaves.push_back(Var::parameter(on_gpu(shape, leaves.size() + 1)));
    return leaves.back();
  };
  const Var x = leaf({2, 9, 7, 16}), w1 = leaf({24, 1, 1, 16}), w2 = leaf({24, 3, 3, 24}),
            w3 = leaf({16, 1, 1, 24}), w4 = leaf({8, 3, 3, 16}), b4 = leaf({8}), w5 = leaf({16, 160}),
            b5 = leaf({16}), w6 = leaf({5, 16}), b6 = leaf({5});
  const Tensor s1 = on_gpu({24}, 50), s2 = on_gpu({24}, 51), s3 = on_gpu({16}, 52), shift = on_gpu({24}, 53);
  const auto next = [&](const Var& v) { return apart ? reshape(ctx, v, v.shape()) : v; };
  Outcome outcome;
  const auto keep = [&](const Tensor& tensor) {
    const Tensor values = tensor.to(Device{});
    outcome.values.emplace_back(values.values<float>().begin(), values.values<float>().end());
  };
  const auto conv = [&](const Var& in, const Var& w, const ConvOptions& options, ConvEpilogue epilogue) {
    epilogue.relu = true;
    epilogue.packed = !apart;
    return next(conv2d(ctx, in, w, options, std::move(epilogue)));
  };
  for (int step = 0; step < 2; ++step) {
    Var y = conv(x, w1, {}, {.scale = s1, .bias = Var(shift), .residual = {}});
    y = conv(y, w2, {.pad = 1}, {.scale = s2, .bias = {}, .residual = {}});
    y = conv(y, w3, {}, {.scale = s3, .bias = {}, .residual = x});
    y = conv(y, w4, {.stride = 2, .pad = 1}, {.scale = {}, .bias = b4, .residual = {}});
    y = next(linear(ctx, reshape(ctx, y, {2, 160}), w5, b5, true, !apart));
    y = linear(ctx, y, w6, b6);
    keep(y.value());
    backward(ctx, record(ctx, std::make_shared<RandomGradient>(), {&y}, ctx.zeros({})));
  }
  for (const Var& v : leaves) keep(v.gradient());
  outcome.calls = counts.calls;
  return outcome;
}

}  // namespace

TEST_CASE("packed layers: handing packed operands on changes no bit") {
  if (cuda::device_count() == 0) return;
  if (!cuda::is_simulated() && Context(kGpu).capability < 80) return;
  for (const Precision precision : {Precision::bf16, Precision::tf32, Precision::f32}) {
    CAPTURE(static_cast<int>(precision));
    const Outcome together = run_network(precision, false), apart = run_network(precision, true);
    CHECK(together.values == apart.values);
    // In bf16, the second layer's dx is the first layer's g, and the third's is the second's.
    const int fewer = precision == Precision::bf16 ? 4 : 0;
    CHECK(together.calls.at("epilogue_backward") == apart.calls.at("epilogue_backward") - fewer);
    CHECK(together.calls.at("conv2d_dx") == apart.calls.at("conv2d_dx"));
  }
}

}  // namespace rcnn
