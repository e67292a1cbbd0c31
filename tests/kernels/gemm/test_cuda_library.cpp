// The code around calls of cuDNN and cuBLAS. The libraries themselves are tested on a GPU, through the tables
// of their ops.
#if defined(RCNN_CUDA)

#include "kernels/gemm/conv2d_cases.h"
#include "kernels/gemm/cuda_library.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {
namespace {

/// A convolution as the variants of libraries compute it: without the epilogue, then the epilogue.
template <bool InPlace>
void conv2d_then_epilogue(const Stream& stream, Workspace& workspace, const Conv2dArgs<float>& a) {
  const int64_t rows = a.shape.n * a.shape.oh() * a.shape.ow(), columns = a.shape.k;
  float* z = InPlace && a.residual != a.y ? a.y : workspace.take<float>(rows * columns);
  conv2d_direct(stream, workspace, {.shape = a.shape, .x = a.x, .w = a.w, .y = z});
  epilogue_pass(stream, {.rows = rows,
                         .columns = columns,
                         .z = z,
                         .scale = a.scale,
                         .bias = a.bias,
                         .residual = a.residual,
                         .relu = a.relu,
                         .y = a.y});
}

/// The same with the residual in y.
void conv2d_residual_in_y(const Stream& stream, Workspace& workspace, const Conv2dArgs<float>& a) {
  Conv2dArgs<float> aliased = a;
  if (a.residual) {
    const size_t bytes =
        static_cast<size_t>(a.shape.n * a.shape.oh() * a.shape.ow() * a.shape.k) * sizeof(float);
    cuda::copy(stream.device, a.y, a.residual, bytes);
    aliased.residual = a.y;
  }
  conv2d_then_epilogue<false>(stream, workspace, aliased);
}

TEST_CASE("epilogue_pass: after a convolution without epilogue, the result is that of the whole op") {
  constexpr RealTechnique<Conv2dArgs> techniques[] = {
      {"in place", on_cuda, conv2d_then_epilogue<true>},
      {"from scratch memory", on_cuda, conv2d_then_epilogue<false>},
      {"residual in y", on_cuda, conv2d_residual_in_y},
      {"reference", on_cpu, {conv2d_reference<float>, conv2d_reference<double>}},
  };
  verify(Op{"conv2d", "conv2d", column<0>(techniques)}, conv2d_cases(),
         [](auto zero, const auto& c, Filler fill) { return prepare_conv2d<decltype(zero)>(c, fill); });
}

TEST_CASE("round_to_bf16 and clear change every value and nothing else") {
  if (cuda::device_count() == 0) return;
  Context ctx(Device{DeviceType::cuda, 0});
  for (const int64_t count : {0, 1, 255, 256, 1000}) {
    Tensor host = Tensor::empty({count}, DType::f32);
    for (int64_t i = 0; i < count; ++i)
      host.mutable_values<float>()[static_cast<size_t>(i)] = std::sin(static_cast<float>(i));
    const Tensor values = host.to(ctx.device);
    const Workspace::Scope scope(ctx.workspace);
    const bf16* rounded = round_to_bf16(ctx.stream, ctx.workspace, values.data<float>(), count);
    std::vector<bf16> found(static_cast<size_t>(count));
    cuda::download(ctx.device, found.data(), rounded, found.size() * sizeof(bf16),
                   std::source_location::current());
    for (size_t i = 0; i < found.size(); ++i) CHECK(found[i].bits == to_bf16(host.values<float>()[i]).bits);
    clear(ctx.stream, values.mutable_data<float>(), count / 2);
    const Tensor cleared = values.to(Device{});
    for (int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<size_t>(i);
      CHECK(cleared.values<float>()[at] == (i < count / 2 ? 0.0f : host.values<float>()[at]));
    }
  }
}

TEST_CASE("a library's scratch memory is aligned to 256 bytes") {
  Workspace workspace;
  for (const int64_t bytes : {0, 1, 100, 5000}) {
    auto* memory = static_cast<std::byte*>(take_library_scratch(workspace, bytes));
    CHECK(reinterpret_cast<uintptr_t>(memory) % 256 == 0);
    std::fill(memory, memory + bytes, std::byte{1});
  }
}

}  // namespace
}  // namespace rcnn::kernels

#endif
