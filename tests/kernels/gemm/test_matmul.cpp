#include "kernels/gemm/matmul_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(matmul)

namespace {

/// A matrix product with its operands cut off to TF32, as a library may compute it.
void matmul_cut_off(const Stream& stream, Workspace& workspace, const MatmulArgs<float>& args) {
  const auto cut = [&](const float* values, int64_t count) -> const float* {
    auto* result = workspace.take<float>(count);
    for (int64_t i = 0; i < count; ++i)
      result[i] = std::bit_cast<float>(std::bit_cast<uint32_t>(values[i]) & 0xFFFFE000u);
    return result;
  };
  MatmulArgs<float> rounded = args;
  rounded.a = cut(args.a, args.m * args.k), rounded.b = cut(args.b, args.k * args.n);
  matmul_reference<float>(stream, workspace, rounded);
}

constexpr Backend kLibrary{DeviceType::cpu, on_cublas.needs, true, Precision::tf32};

TEST_CASE("a library that cuts off the operands of TF32 products stays within its tolerance") {
  constexpr RealTechnique<MatmulArgs> techniques[] = {
      {"cut off", kLibrary, matmul_cut_off},
      {"reference", on_cpu, {matmul_reference<float>, matmul_reference<double>}},
  };
  verify(Op{"matmul", "matmul", column<0>(techniques)}, matmul_cases(), cases_of(matmul).prepare);
}

TEST_CASE("that tolerance is the smallest power of two that allows it") {
  // The largest error of one product, as a share of |a||b|: operands just below a step of TF32.
  const float a = std::bit_cast<float>(0x3F801FFFu), cut = 1;
  const double product = static_cast<double>(a) * static_cast<double>(a);
  const double share = (product - static_cast<double>(cut)) / product;
  CHECK(share < kCutOffOperands);
  CHECK(share > kCutOffOperands / 2);
  // Rounded to nearest, as this project's variants do it, half of that is enough.
  const float middle = std::bit_cast<float>(0x3F800FFFu);
  const double nearest = static_cast<double>(middle) * static_cast<double>(middle);
  CHECK((nearest - 1) / nearest < kCutOffOperands / 2);
}

TEST_CASE("libraries are tested only on request") {
  CHECK(is_tested(on_cuda));
  CHECK(is_tested(on_onednn));
  CHECK(is_tested(kLibrary));  // it stands for one on the CPU
  const char* before = std::getenv("RCNN_TEST_LIBRARIES");
  const std::string kept = before ? before : "";
  ::unsetenv("RCNN_TEST_LIBRARIES");
  CHECK(!is_tested(on_cudnn));
  CHECK(!is_tested(on_cublas.with(Precision::tf32, 80)));
  ::setenv("RCNN_TEST_LIBRARIES", "1", 1);
  CHECK(is_tested(on_cudnn));
  ::setenv("RCNN_TEST_LIBRARIES", "0", 1);
  CHECK(!is_tested(on_cudnn));
  if (before)
    ::setenv("RCNN_TEST_LIBRARIES", kept.c_str(), 1);
  else
    ::unsetenv("RCNN_TEST_LIBRARIES");
}

}  // namespace
}  // namespace rcnn::kernels
