// A small graph with parameters that are used once, twice and never, whose gradients ranks add up.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "core/autograd.h"
#include "core/rng.h"
#include "core/world.h"
#include "layers/linear.h"
#include "train/gradient_sum.h"

namespace rcnn::fixtures {

struct GradientGraph {
  GradientGraph() {
    const std::pair<const char*, Shape> all[] = {{"first.weight", {7, 5}},  {"first.bias", {7}},
                                                 {"second.weight", {3, 7}}, {"unused.weight", {4, 4}},
                                                 {"second.bias", {3}},      {"twice.weight", {3, 3}},
                                                 {"last.weight", {1, 3}}};
    uint32_t number = 0;
    for (const auto& [name, shape] : all)
      parameters.push_back({name, Var::parameter(noise(shape, 1000 + number++)), {}, {}});
  }

  /// Of a micro-batch.
  Var loss(Context& ctx, int64_t micro_batch) const {
    const auto p = [this](size_t i) -> const Var& { return parameters.at(i).value; };
    Var x = linear(ctx, noise({2, 5}, static_cast<uint32_t>(micro_batch)), p(0), p(1));
    const Tensor same = x.value();
    x = record<Between>(ctx, {&x}, same, [&](Between& node) {
      node.act = [this, micro_batch] {
        if (before_first_layer) before_first_layer(micro_batch);
      };
    });
    x = linear(ctx, x, p(2), p(4));
    for (int i = 0; i < 2; ++i) x = linear(ctx, x, p(5), {});
    x = linear(ctx, x, p(6), {});
    return linear(ctx, reshape(ctx, x, {1, 2}), Var(noise({1, 2}, 2000)), {});
  }

  /// The sum over this many micro-batches, of this rank's and the others'.
  Bytes sum(World& world, int64_t micro_batches, int64_t bucket_bytes) {
    Context ctx;
    ctx.grad = true;
    GradientSum sum(ctx, world, parameters, micro_batches, bucket_bytes);
    const Share share = world.share(micro_batches);
    for (int64_t i = share.begin; i < share.end; ++i) {
      for (const Sgd::Parameter& parameter : parameters) parameter.value.clear_gradient();
      sum.backward(loss(ctx, i));
    }
    sum.wait();
    sum.finish();
    bytes_sent = sum.bytes_sent();
    bytes_expected = sum.bytes_expected();
    Bytes all;
    for (const Sgd::Parameter& parameter : parameters) {
      if (!parameter.value.has_gradient()) continue;
      const auto bytes = std::as_bytes(parameter.value.gradient().values<float>());
      all.insert(all.end(), bytes.begin(), bytes.end());
    }
    return all;
  }

  /// The bytes of the gradients of the later layers that one of two ranks finishes, each parameter a bucket.
  int64_t half_of_later_layers(int rank) const {
    int64_t bytes = 0;
    for (const size_t i : {size_t{2}, size_t{4}, size_t{5}, size_t{6}})
      bytes += 4 * share_of(parameters[i].value.value().numel(), rank, 2).count();
    return bytes;
  }

  std::vector<Sgd::Parameter> parameters;
  /// Called during backward, when the gradients of the later layers are complete, with the micro-batch.
  std::function<void(int64_t)> before_first_layer;
  int64_t bytes_sent = 0, bytes_expected = 0;  // of the last sum

 private:
  struct Between : Node {
    std::function<void()> act;
    const char* name() const override { return "between"; }
    void backward(Context& ctx) override {
      act();
      target(ctx, 0).put(output_gradient());
    }
  };

  static Tensor noise(const Shape& shape, uint32_t number) {
    RandomSequence random(9, Purpose::test, number);
    const Tensor values = Tensor::empty(shape, DType::f32);
    for (float& value : values.mutable_values<float>()) value = random.normal();
    return values;
  }
};

}  // namespace rcnn::fixtures
