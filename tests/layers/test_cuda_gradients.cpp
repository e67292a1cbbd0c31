// Every layer on a GPU, real or simulated: its output and its gradients are the CPU's.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "core/cuda/device.h"
#include "layers/average_pool.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/dropout.h"
#include "layers/group_norm.h"
#include "layers/linear.h"
#include "layers/logit_difference.h"
#include "layers/max_pool.h"
#include "layers/roi_align.h"
#include "layers/roi_pool.h"
#include "layers/sigmoid_cross_entropy.h"
#include "layers/smooth_l1.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/sum.h"
#include "layers/upsample_add.h"
#include "tests/layers/random_gradient.h"

namespace rcnn {
namespace {

constexpr Device kGpu{DeviceType::cuda, 0};

using fixtures::random_tensor;
using fixtures::RandomGradient;

using Leaves = std::vector<Var>;
using Layer = std::function<Var(Context&, const Leaves&)>;

/// The output and the leaves' gradients, on the host. Each leaf has two contributions, of which the second is
/// added to the first.
std::vector<Tensor> results_on(Device device, const std::vector<Shape>& shapes, const Layer& layer) {
  Context ctx(device);
  ctx.grad = ctx.training = true;
  Leaves leaves;
  for (size_t i = 0; i < shapes.size(); ++i)
    leaves.push_back(Var::parameter(random_tensor(shapes[i], i + 1).to(device)));
  std::vector<Tensor> results;
  for (int pass = 0; pass < 2; ++pass) {
    const Var y = layer(ctx, leaves);
    if (pass == 0) results.push_back(y.value().to(Device{}));
    backward(ctx, record(ctx, std::make_shared<RandomGradient>(), {&y}, ctx.zeros({})));
  }
  for (const Var& leaf : leaves) results.push_back(leaf.gradient().to(Device{}));
  return results;
}

void expect_cpu_results(const std::vector<Shape>& shapes, const Layer& layer) {
  const std::vector<Tensor> expected = results_on({}, shapes, layer), found = results_on(kGpu, shapes, layer);
  for (size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    const auto e = expected[i].values<float>(), f = found[i].values<float>();
    REQUIRE(e.size() == f.size());
    float largest = 1;
    for (const float value : e) largest = std::max(largest, std::fabs(value));
    float difference = 0;
    for (size_t k = 0; k < e.size(); ++k) {
      const float distance = std::fabs(e[k] - f[k]);
      if (!(distance <= difference)) difference = distance;
    }
    CHECK(difference <= 1e-5f * largest);
  }
}

bool no_gpu() {
  if (cuda::device_count() > 0) return false;
  MESSAGE("skipped: no GPU, and none simulated (make CUDA=sim)");
  return true;
}

}  // namespace

TEST_CASE("cuda: gradients of the layers that hand the output's gradient on") {
  if (no_gpu()) return;
  // A convolution whose residual sum no ReLU follows.
  const std::vector<Shape> convolution{{1, 5, 6, 3}, {4, 3, 3, 3}, {1, 5, 6, 4}};
  expect_cpu_results(convolution, [](Context& ctx, const Leaves& v) {
    ConvEpilogue epilogue;
    epilogue.residual = v[2];
    return conv2d(ctx, v[0], v[1], {.pad = 1}, epilogue);
  });
  expect_cpu_results({{1, 4, 5, 3}, {1, 2, 3, 3}},
                     [](Context& ctx, const Leaves& v) { return upsample_add(ctx, v[0], v[1]); });
  expect_cpu_results({{2, 3, 4}}, [](Context& ctx, const Leaves& v) { return reshape(ctx, v[0], {6, 4}); });
}

TEST_CASE("cuda: gradients of the layers with weights") {
  if (no_gpu()) return;
  const std::vector<Shape> convolution{{2, 5, 6, 3}, {4, 3, 3, 3}, {4}, {2, 3, 3, 4}};
  expect_cpu_results(convolution, [](Context& ctx, const Leaves& v) {
    ConvEpilogue epilogue;
    epilogue.bias = v[2];
    epilogue.residual = v[3];
    epilogue.relu = true;
    return conv2d(ctx, v[0], v[1], {.stride = 2, .pad = 1}, epilogue);
  });
  expect_cpu_results({{5, 7}, {3, 7}, {3}},
                     [](Context& ctx, const Leaves& v) { return linear(ctx, v[0], v[1], v[2], true); });
  expect_cpu_results({{2, 3, 4, 8}, {8}, {8}, {2, 3, 4, 8}}, [](Context& ctx, const Leaves& v) {
    return group_norm(ctx, v[0], {.weight = v[1], .bias = v[2], .groups = 2}, v[3], true);
  });
  expect_cpu_results({{2, 3, 4, 8}, {8}, {8}, {2, 3, 4, 8}}, [](Context& ctx, const Leaves& v) {
    BatchNorm parameters{
        .weight = v[1], .bias = v[2], .running_mean = ctx.zeros({8}), .running_var = ctx.zeros({8})};
    return batch_norm(ctx, v[0], parameters, v[3], true);
  });
}

TEST_CASE("cuda: gradients of pooling, dropout and sums") {
  if (no_gpu()) return;
  expect_cpu_results({{2, 6, 7, 3}},
                     [](Context& ctx, const Leaves& v) { return max_pool(ctx, v[0], 3, 2, 1); });
  expect_cpu_results({{2, 6, 7, 3}}, [](Context& ctx, const Leaves& v) { return average_pool(ctx, v[0]); });
  expect_cpu_results({{6, 7}}, [](Context& ctx, const Leaves& v) { return dropout(ctx, v[0], 0.5f, 1); });
  expect_cpu_results({{}, {1}}, [](Context& ctx, const Leaves& v) {
    return weighted_sum(ctx, {v[0], v[1], v[0]}, {2, -3, 0.5});
  });
  const Tensor rois = Tensor::of<float>({2, 2, 4}, {1, 2, 9, 11, 0, 0, 40, 30, 5, 5, 8, 20, 0, 0, 0, 0});
  const Tensor count = Tensor::of<int32_t>({2}, {2, 1});
  const std::vector<Shape> levels{{2, 16, 20, 3}, {2, 8, 10, 3}};
  expect_cpu_results(levels, [&](Context& ctx, const Leaves& v) {
    const RoiAlignConfig config{
        .height = 3, .width = 2, .scales = {0.5f, 0.25f}, .canonical_size = 16, .canonical_level = 1};
    return roi_align(ctx, v, rois.to(ctx.device), count.to(ctx.device), config);
  });
  expect_cpu_results(levels, [&](Context& ctx, const Leaves& v) {
    const RoiPoolConfig config{
        .height = 3, .width = 2, .scales = {0.5f, 0.25f}, .canonical_size = 16, .canonical_level = 1};
    return roi_pool(ctx, v, rois.to(ctx.device), count.to(ctx.device), config);
  });
}

TEST_CASE("cuda: gradients of the losses") {
  if (no_gpu()) return;
  const Tensor classes = Tensor::of<int32_t>({5}, {2, 0, -1, 1, 2});
  expect_cpu_results({{5, 3}}, [&](Context& ctx, const Leaves& v) {
    return softmax_cross_entropy(ctx, v[0], classes.to(ctx.device));
  });
  const Tensor labels = Tensor::of<int32_t>({2, 5}, {1, 0, -1, 1, 1, -1, -1, 1, 0, 1});
  expect_cpu_results({{2, 2, 1, 2}, {2, 1}}, [&](Context& ctx, const Leaves& v) {
    return sigmoid_cross_entropy(ctx, v, labels.to(ctx.device));
  });
  const Tensor targets = random_tensor({2, 5, 4}, 7);
  expect_cpu_results({{2, 2, 1, 8}, {2, 1, 4}}, [&](Context& ctx, const Leaves& v) {
    return smooth_l1(ctx, v, 1, targets.to(ctx.device), labels.to(ctx.device), 0.5f);
  });
  expect_cpu_results({{2, 3, 6}}, [](Context& ctx, const Leaves& v) { return logit_difference(ctx, v[0]); });
}

}  // namespace rcnn
