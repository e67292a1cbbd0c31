// The packed operands that the tensor-core variants keep between calls.
#if defined(RCNN_CUDA)

#include <functional>
#include <memory>

#include "core/cuda/recorded_work.h"
#include "core/cuda/tensor.h"
#include "kernels/gemm/conv2d_cases.h"
#include "kernels/gemm/matmul_cases.h"
#include "tests/kernels/gemm/packed_values.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {
namespace {

/// Changes the second input, the weights, behind the key's back, and then with another version or storage.
template <class Args>
void check_kept(Run<Args>& run, const Prepared<Args>& host) {
  Context ctx(Device{DeviceType::cuda, 0});
  if (lacks_tensor_cores(ctx)) return;
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
  if (lacks_tensor_cores(ctx)) return;
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
  if (lacks_tensor_cores(ctx)) return;
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

TEST_CASE("tensor cores: all packed weights are renewed at once") {
  if (cuda::device_count() == 0) return;
  Context ctx(Device{DeviceType::cuda, 0});
  if (lacks_tensor_cores(ctx)) return;
  // Forms with and without padding, transposed and not, of one chunk and of several, in bf16 and TF32.
  const Conv2dShape odd{1, 4, 5, 5, 9, 3, 3, 1, 1, 1}, large{1, 3, 3, 72, 136, 3, 3, 1, 1, 1};
  std::vector<std::pair<Tensor, std::function<std::vector<float>(WeightsKey)>>> uses;
  const auto use = [&](auto& kernel, auto prepared) {
    auto p = std::make_shared<decltype(prepared)>(on_device(prepared, ctx.device));
    uses.emplace_back(p->inputs[1], [&ctx, &kernel, p](WeightsKey key) {
      p->args.weights = key;
      run_on(ctx, kernel, p->args);
      return values_of(p->outputs[0]);
    });
  };
  for (const Conv2dShape& shape : {odd, large}) {
    const Filler filler(static_cast<uint64_t>(shape.k), Fill::normal);
    use(conv2d_implicit_gemm_bf16, prepare_conv2d<float>({shape}, filler));
    use(conv2d_implicit_gemm_tf32, prepare_conv2d<float>({shape}, filler));
    use(conv2d_dx_implicit_gemm_bf16, prepare_conv2d_dx<float>({shape}, filler));
    use(conv2d_dx_implicit_gemm_tf32, prepare_conv2d_dx<float>({shape}, filler));
  }
  use(matmul_mma_bf16, prepare_matmul<float>({7, 9, 21, false, true}, Filler(3, Fill::normal)));

  const auto id = [](size_t i) { return 100 + static_cast<uint64_t>(i); };
  std::vector<WeightsKey> now;
  std::vector<std::vector<float>> expected, before;
  for (size_t i = 0; i < uses.size(); ++i) {
    before.push_back(uses[i].second({id(i), 1}));
    cuda::fill_uniform(uses[i].first, static_cast<uint32_t>(i + 1));
    expected.push_back(uses[i].second({}));
    CHECK(expected[i] != before[i]);
    if (i != 3) now.push_back({id(i), 2});
  }
  now.push_back({999, 5});  // weights of which nothing is kept
  renew_packed_weights(ctx.stream, ctx.workspace, now);
  for (size_t i = 0; i < uses.size(); ++i) {
    CAPTURE(i);
    uses[i].first.fill(0);  // only the packed form is left
    CHECK(uses[i].second({id(i), 2}) == (i == 3 ? uses[i].second({}) : expected[i]));
  }
  renew_packed_weights(ctx.stream, ctx.workspace, now);  // nothing has changed
  for (size_t i = 0; i < uses.size(); ++i)
    if (i != 3) CHECK(uses[i].second({id(i), 2}) == expected[i]);
}

TEST_CASE("tensor cores: dx finds the gradient that dw has packed") {
  if (cuda::device_count() == 0) return;
  Context ctx(Device{DeviceType::cuda, 0});
  if (lacks_tensor_cores(ctx)) return;
  const Conv2dShape shape{1, 5, 6, 8, 8, 3, 3, 1, 1, 1};
  auto dw = on_device(prepare_conv2d_dw<float>({shape}, Filler(1, Fill::normal)), ctx.device);
  auto dx = on_device(prepare_conv2d_dx<float>({shape}, Filler(9, Fill::normal)), ctx.device);
  dx.args.g = dw.args.g;
  const auto result = [&](PackedOperand* packed) {
    dx.args.packed_g = packed;
    run_on(ctx, conv2d_dx_implicit_gemm_bf16, dx.args);
    return values_of(dx.outputs[0]);
  };
  PackedOperand packed;
  dw.args.packed_g = &packed;
  run_on(ctx, conv2d_dw_implicit_gemm_bf16, dw.args);
  const auto expected = result(nullptr);
  dw.inputs[1].fill(0);  // g, of which only the packed copy is left
  CHECK(result(&packed) == expected);
  CHECK(result(nullptr) != expected);
  PackedOperand other = packed;
  other.of = &shape;  // the form of other values
  CHECK(result(&other) == result(nullptr));
}

TEST_CASE("tensor cores: the packed form of a tensor goes when the tensor is written") {
  if (cuda::device_count() == 0) return;
  const Device device{DeviceType::cuda, 0};
  CHECK(packed_operand(Tensor::zeros({4}, DType::f32)) == nullptr);  // nothing is kept on the CPU
  CHECK(packed_operand({}) == nullptr);
  const Tensor x = Tensor::zeros({3, 8}, DType::f32, device);
  const auto make = [&](const Tensor& of) {
    packed_operand(of)->make<bf16>(device, of.data<float>(), of.dim(0), of.dim(1), 48);
  };
  const auto holds = [](const Tensor& t) {
    return packed_operand(t)->holds<bf16>(t.data<float>(), t.dim(0), t.dim(1));
  };
  CHECK_FALSE(holds(x));
  make(x);
  CHECK(holds(x));
  CHECK(holds(x.reshape({1, 24})));       // without padding, a map may be read as a vector
  CHECK_FALSE(holds(x.slice(1, 3)));      // other values
  CHECK_FALSE(holds(x.reshape({6, 4})));  // four channels are padded
  CHECK_FALSE(packed_operand(x)->holds<float>(x.data<float>(), 3, 8));
  static_cast<void>(x.mutable_data<float>());
  CHECK_FALSE(holds(x));

  // Work that is recorded makes its own form in each run, because each replay has to; and a replay may write
  // to the tensor.
  const Context ctx(device);
  RecordedWork work(ctx, true);
  for (int run = 0; run < 4; ++run) {
    CAPTURE(run);
    make(x);
    const bool replayed = work.recorded();
    bool ran = false;
    work.run([&](Context&) {
      ran = true;
      CHECK_FALSE(holds(x));
      make(x);
      CHECK(holds(x));
    });
    CHECK(ran == !replayed);
    CHECK_FALSE(holds(x));
  }
}

namespace {

/// Runs forward, which leaves its packed input, then destroys the input, and lets the gradient of the weights
/// find it. `forward` and `gradient` have the same input.
template <class Forward, class Gradient>
void check_input_kept(Run<Forward>& run_forward, Run<Gradient>& run_gradient, Prepared<Forward> forward,
                      Prepared<Gradient> gradient, PackedOperand& packed, Tensor input, size_t element) {
  Context ctx(Device{DeviceType::cuda, 0});
  if (lacks_tensor_cores(ctx)) return;
  const auto run = [&](auto& kernel, const auto& p) {
    run_on(ctx, kernel, p.args);
    return values_of(p.outputs[0]);
  };
  const auto y = run(run_forward, forward), expected = run(run_gradient, gradient);
  REQUIRE(packed.values.defined());
  CHECK(packed.element == element);
  input.fill(0);
  CHECK(run(run_gradient, gradient) == expected);  // only the packed form is left
  CHECK(run(run_forward, forward) == y);
  packed.element = 16;
  CHECK(run(run_gradient, gradient) != expected);  // a form of another precision is no form of this one
  CHECK(run(run_forward, forward) != y);
}

}  // namespace

TEST_CASE("tensor cores: dw finds the input that forward has packed") {
  if (cuda::device_count() == 0) return;
  const Device device{DeviceType::cuda, 0};
  const Conv2dShape shape{2, 5, 6, 5, 9, 3, 3, 1, 1, 1};  // five channels: TF32 packs them as well
  const auto check = [&](Run<Conv2dArgs<float>>& forward, Run<Conv2dDwArgs<float>>& dw, size_t element) {
    PackedOperand packed;
    auto f = on_device(prepare_conv2d<float>({shape}, Filler(1, Fill::normal)), device);
    auto g = on_device(prepare_conv2d_dw<float>({shape}, Filler(2, Fill::normal)), device);
    g.args.x = f.args.x;
    f.args.packed_x = &packed;
    g.args.packed_x = &packed;
    check_input_kept(forward, dw, f, g, packed, f.inputs[0], element);
  };
  check(conv2d_implicit_gemm_bf16, conv2d_dw_implicit_gemm_bf16, 2);
  check(conv2d_implicit_gemm_tf32, conv2d_dw_implicit_gemm_tf32, 4);

  const auto check_product = [&](Run<MatmulArgs<float>>& run, size_t element) {
    PackedOperand packed;
    auto f = on_device(prepare_matmul<float>({7, 9, 21, false, true}, Filler(1, Fill::normal)), device);
    auto g = on_device(prepare_matmul<float>({9, 21, 7, true, false}, Filler(2, Fill::normal)), device);
    g.args.b = f.args.a;
    f.args.packed_a = &packed;
    g.args.packed_b = &packed;
    check_input_kept(run, run, f, g, packed, f.inputs[0], element);
  };
  check_product(matmul_mma_bf16, 2);
  check_product(matmul_mma_tf32, 4);
}

TEST_CASE("tensor cores: an input that is read in place is not kept twice") {
  if (cuda::device_count() == 0) return;
  Context ctx(Device{DeviceType::cuda, 0});
  if (lacks_tensor_cores(ctx)) return;
  PackedOperand packed;
  auto p =
      on_device(prepare_conv2d<float>({{1, 4, 4, 8, 8, 1, 1, 1, 0, 1}}, Filler(1, Fill::normal)), ctx.device);
  p.args.packed_x = &packed;
  run_on(ctx, conv2d_implicit_gemm_tf32, p.args);
  CHECK_FALSE(packed.values.defined());
}

}  // namespace rcnn::kernels

#endif
