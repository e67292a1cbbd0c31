// The packed operands that the tensor-core variants keep between calls.
#if defined(RCNN_CUDA)

#include "kernels/gemm/conv2d_cases.h"
#include "kernels/gemm/matmul_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {
namespace {

/// Changes the second input, the weights, behind the key's back, and then with another version or storage.
template <class Args>
void check_kept(Run<Args>& run, const Prepared<Args>& host) {
  Context ctx(Device{DeviceType::cuda, 0});
  if (!cuda::is_simulated() && ctx.capability < 80) return;
  Prepared<Args> p = on_device(host, ctx.device);
  const auto result = [&](WeightsKey key) {
    p.args.weights = key;
    const Workspace::Scope scope(ctx.workspace);
    run(ctx.stream, ctx.workspace, p.args);
    const Tensor y = p.outputs[0].to(Device{});
    return std::vector<float>(y.values<float>().begin(), y.values<float>().end());
  };
  const auto before = result({.id = 7, .version = 1});
  CHECK(result({}) == before);
  p.inputs[1].fill(0.5);
  CHECK(result({.id = 7, .version = 1}) == before);  // nothing says that the weights have changed
  const auto after = result({.id = 7, .version = 2});
  CHECK(after != before);
  CHECK(result({}) == after);  // weights without a name are packed every time
  CHECK(result({.id = 8, .version = 1}) == after);
}

}  // namespace

TEST_CASE("tensor cores: packed weights are kept until the weights change") {
  if (cuda::device_count() == 0) return;
  const Filler filler(3, Fill::normal);
  // Five channels need padding, so that TF32 packs them as well.
  const Conv2dShape shape{2, 6, 7, 5, 9, 3, 3, 1, 1, 1};
  check_kept(conv2d_implicit_gemm_bf16, prepare_conv2d<float>({shape}, filler));
  check_kept(conv2d_implicit_gemm_tf32, prepare_conv2d<float>({shape}, filler));
  check_kept(conv2d_dx_implicit_gemm_bf16, prepare_conv2d_dx<float>({shape}, filler));
  check_kept(conv2d_dx_implicit_gemm_tf32, prepare_conv2d_dx<float>({shape}, filler));
  check_kept(matmul_mma_bf16, prepare_matmul<float>({7, 9, 21, false, true}, filler));
  check_kept(matmul_mma_tf32, prepare_matmul<float>({7, 9, 21, false, true}, filler));
}

TEST_CASE("tensor cores: the packed weights of forward and of dx are two matrices") {
  if (cuda::device_count() == 0) return;
  Context ctx(Device{DeviceType::cuda, 0});
  if (!cuda::is_simulated() && ctx.capability < 80) return;
  // Both read the same weights in one context, and each must find its own form of them.
  const Conv2dShape shape{1, 5, 5, 8, 8, 1, 1, 1, 0, 1};
  auto forward = on_device(prepare_conv2d<float>({shape}, Filler(1, Fill::normal)), ctx.device);
  auto dx = on_device(prepare_conv2d_dx<float>({shape}, Filler(1, Fill::normal)), ctx.device);
  dx.args.w = forward.args.w;
  const auto run_both = [&](WeightsKey key) {
    forward.args.weights = dx.args.weights = key;
    std::vector<float> both;
    const Workspace::Scope scope(ctx.workspace);
    conv2d_implicit_gemm_bf16(ctx.stream, ctx.workspace, forward.args);
    conv2d_dx_implicit_gemm_bf16(ctx.stream, ctx.workspace, dx.args);
    for (const Tensor& output : {forward.outputs[0], dx.outputs[0]}) {
      const Tensor y = output.to(Device{});
      both.insert(both.end(), y.values<float>().begin(), y.values<float>().end());
    }
    return both;
  };
  const auto alone = run_both({});
  CHECK(run_both({.id = 5, .version = 1}) == alone);
  CHECK(run_both({.id = 5, .version = 1}) == alone);
}

TEST_CASE("tensor cores: one storage of weights can be seen in two shapes") {
  if (cuda::device_count() == 0) return;
  Context ctx(Device{DeviceType::cuda, 0});
  if (!cuda::is_simulated() && ctx.capability < 80) return;
  // (8, 3, 3, 8) and (8, 1, 1, 72) have as many elements, in two orders when they are transposed.
  auto wide = on_device(prepare_conv2d_dx<float>({{1, 5, 5, 8, 8, 3, 3, 1, 1, 1}}, Filler(1, Fill::normal)),
                        ctx.device);
  auto flat = on_device(prepare_conv2d_dx<float>({{1, 5, 5, 72, 8, 1, 1, 1, 0, 1}}, Filler(2, Fill::normal)),
                        ctx.device);
  flat.args.w = wide.args.w;
  const auto result = [&](auto& p, WeightsKey key) {
    p.args.weights = key;
    const Workspace::Scope scope(ctx.workspace);
    conv2d_dx_implicit_gemm_bf16(ctx.stream, ctx.workspace, p.args);
    const Tensor y = p.outputs[0].to(Device{});
    return std::vector<float>(y.values<float>().begin(), y.values<float>().end());
  };
  const auto expected = result(flat, {});
  result(wide, {.id = 4, .version = 1});
  CHECK(result(flat, {.id = 4, .version = 1}) == expected);
}

TEST_CASE("tensor cores: dx finds the gradient that dw has packed, and only that one") {
  if (cuda::device_count() == 0) return;
  Context ctx(Device{DeviceType::cuda, 0});
  if (!cuda::is_simulated() && ctx.capability < 80) return;
  const Conv2dShape shape{1, 5, 6, 8, 8, 3, 3, 1, 1, 1};
  const auto dw = [&](uint64_t seed, ContentsKey key) {
    auto p = on_device(prepare_conv2d_dw<float>({shape}, Filler(seed, Fill::normal)), ctx.device);
    p.args.gradient = key;
    const Workspace::Scope scope(ctx.workspace);
    conv2d_dw_implicit_gemm_bf16(ctx.stream, ctx.workspace, p.args);
    return p;
  };
  const auto dx = [&](const float* g, ContentsKey key) {
    auto p = on_device(prepare_conv2d_dx<float>({shape}, Filler(9, Fill::normal)), ctx.device);
    if (g) p.args.g = g;
    p.args.gradient = key;
    const Workspace::Scope scope(ctx.workspace);
    conv2d_dx_implicit_gemm_bf16(ctx.stream, ctx.workspace, p.args);
    const Tensor y = p.outputs[0].to(Device{});
    return std::vector<float>(y.values<float>().begin(), y.values<float>().end());
  };
  const auto first = dw(1, {.id = 3, .version = 4});
  const auto expected = dx(first.args.g, {});
  first.inputs[1].fill(0);  // g, of which only the packed copy is left
  CHECK(dx(first.args.g, {.id = 3, .version = 4}) == expected);
  CHECK(dx(first.args.g, {.id = 3, .version = 5}) != expected);  // written since
  const auto zeros = dx(first.args.g, {});
  const auto second = dw(2, {.id = 6, .version = 1});
  CHECK(dx(first.args.g, {.id = 3, .version = 5}) == zeros);  // another gradient was packed in between
  CHECK(dx(second.args.g, {.id = 6, .version = 1}) == dx(second.args.g, {}));
}

namespace {

std::vector<float> values_of(const Tensor& on_device) {
  const Tensor values = on_device.to(Device{});
  return {values.values<float>().begin(), values.values<float>().end()};
}

/// Runs forward, which leaves its packed input, then destroys the input, and lets the gradient of the weights
/// find it. `forward` and `gradient` have the same input.
template <class Forward, class Gradient>
void check_input_kept(Run<Forward>& run_forward, Run<Gradient>& run_gradient, Prepared<Forward> forward,
                      Prepared<Gradient> gradient, Tensor input, size_t element) {
  Context ctx(Device{DeviceType::cuda, 0});
  if (!cuda::is_simulated() && ctx.capability < 80) return;
  const auto run = [&](auto& kernel, const auto& p) {
    const Workspace::Scope scope(ctx.workspace);
    kernel(ctx.stream, ctx.workspace, p.args);
    return values_of(p.outputs[0]);
  };
  PackedInput& packed = *[&] {
    if constexpr (requires { forward.args.packed_x; })
      return forward.args.packed_x;
    else
      return forward.args.packed_a;
  }();
  const auto y = run(run_forward, forward), expected = run(run_gradient, gradient);
  REQUIRE(packed.values.defined());
  CHECK(packed.element == element);
  input.fill(0);
  CHECK(run(run_gradient, gradient) == expected);  // only the packed form is left
  packed.element = 16;
  CHECK(run(run_gradient, gradient) != expected);  // a form of another precision is no form of this one
  packed.values = {};
  CHECK(run(run_gradient, gradient) == run(run_gradient, gradient));
  CHECK(run(run_forward, forward) != y);
}

}  // namespace

TEST_CASE("tensor cores: dw finds the input that forward has packed") {
  if (cuda::device_count() == 0) return;
  const Device device{DeviceType::cuda, 0};
  const Conv2dShape shape{2, 5, 6, 5, 9, 3, 3, 1, 1, 1};  // five channels: TF32 packs them as well
  const auto check = [&](Run<Conv2dArgs<float>>& forward, Run<Conv2dDwArgs<float>>& dw, size_t element) {
    PackedInput packed;
    auto f = on_device(prepare_conv2d<float>({shape}, Filler(1, Fill::normal)), device);
    auto g = on_device(prepare_conv2d_dw<float>({shape}, Filler(2, Fill::normal)), device);
    g.args.x = f.args.x;
    f.args.packed_x = &packed;
    g.args.packed_x = &packed;
    check_input_kept(forward, dw, f, g, f.inputs[0], element);
  };
  check(conv2d_implicit_gemm_bf16, conv2d_dw_implicit_gemm_bf16, 2);
  check(conv2d_implicit_gemm_tf32, conv2d_dw_implicit_gemm_tf32, 4);

  const auto check_product = [&](Run<MatmulArgs<float>>& run, size_t element) {
    PackedInput packed;
    auto f = on_device(prepare_matmul<float>({7, 9, 21, false, true}, Filler(1, Fill::normal)), device);
    auto g = on_device(prepare_matmul<float>({9, 21, 7, true, false}, Filler(2, Fill::normal)), device);
    g.args.b = f.args.a;
    f.args.packed_a = &packed;
    g.args.packed_b = &packed;
    check_input_kept(run, run, f, g, f.inputs[0], element);
  };
  check_product(matmul_mma_bf16, 2);
  check_product(matmul_mma_tf32, 4);
}

TEST_CASE("tensor cores: an input that is read in place is not kept twice") {
  if (cuda::device_count() == 0) return;
  Context ctx(Device{DeviceType::cuda, 0});
  if (!cuda::is_simulated() && ctx.capability < 80) return;
  PackedInput packed;
  auto p =
      on_device(prepare_conv2d<float>({{1, 4, 4, 8, 8, 1, 1, 1, 0, 1}}, Filler(1, Fill::normal)), ctx.device);
  p.args.packed_x = &packed;
  const Workspace::Scope scope(ctx.workspace);
  conv2d_implicit_gemm_tf32(ctx.stream, ctx.workspace, p.args);
  CHECK_FALSE(packed.values.defined());
}

}  // namespace rcnn::kernels

#endif
