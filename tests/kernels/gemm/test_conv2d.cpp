#include "kernels/gemm/conv2d_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(conv2d)
VERIFY_OP(conv2d_dx)
VERIFY_OP(conv2d_dw)

TEST_CASE("conv2d: few rows are at most an eighth, also where several threads look for them") {
  constexpr int64_t kRows = 40 * 50, kChannels = 3;
  std::vector<float> g(kRows * kChannels);
  const Conv2dDxArgs<float> args{.shape = {1, 40, 50, 4, kChannels, 1, 1, 1, 0, 1}, .g = g.data()};
  CHECK(has_few_rows(args));
  for (int64_t row = 0; row < kRows / 8; ++row) g[row * 8 * kChannels + row % kChannels] = -1e-30F;
  CHECK(has_few_rows(args));
  g.back() = std::numeric_limits<float>::quiet_NaN();  // not 0 either
  CHECK(!has_few_rows(args));
  std::fill(g.begin(), g.end(), -0.0F);
  CHECK(has_few_rows(args));
}

}  // namespace rcnn::kernels
