#include "kernels/roi/roi_pool_cases.h"
#include "kernels/roi/roi_pool_math.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {

VERIFY_OP(roi_pool)
VERIFY_OP(roi_pool_backward)

TEST_CASE("roi_pixels and bin_pixels: coordinates are rounded to whole pixels") {
  const auto same = [](RoiPixels a, int64_t start, int64_t length) {
    return a.start == start && a.length == length;
  };
  CHECK(same(roi_pixels(0, 15, 0.5f), 0, 9));   // 7.5 rounds to 8, and both ends are included
  CHECK(same(roi_pixels(-3, 5, 0.5f), -2, 6));  // -1.5 rounds to -2, 2.5 to 3
  CHECK(same(roi_pixels(9, 2, 1), 9, 1));       // reversed: one pixel
  CHECK(same(roi_pixels(4.4f, 4.4f, 1), 4, 1));
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  CHECK(roi_pixels(nan, 5, 1).length == 0);
  CHECK(roi_pixels(0, nan, 1).length == 0);
  CHECK(roi_pixels(0, inf, 1).length == 0);
  CHECK(roi_pixels(-1e30f, 1e30f, 1).length == 0);

  const auto range = [](int64_t bin) {
    const PixelRange r = bin_pixels({2, 5}, bin, 3, 6);  // pixels 2..6 of a map of 6, in thirds of 5/3
    return std::pair{r.begin, r.end};
  };
  CHECK(range(0) == std::pair<int64_t, int64_t>{2, 4});
  CHECK(range(1) == std::pair<int64_t, int64_t>{3, 6});  // shares pixel 3 with the first
  CHECK(range(2) == std::pair<int64_t, int64_t>{5, 6});  // cut at the border
}

TEST_CASE("roi_pool: the values are those of torchvision 0.14") {
  // One image of 6 x 7 x 2 with x = (7 i + 3 j + 5 c) mod 13 - 6;
  // torchvision.ops.roi_pool(x, rois, (2, 3), 0.5) on the CPU, in (RoI, bin, channel) order.
  std::vector<float> x, y(36);
  std::vector<int32_t> argmax(36);
  for (int i = 0; i < 6; ++i)
    for (int j = 0; j < 7; ++j)
      for (int c = 0; c < 2; ++c) x.push_back(static_cast<float>((7 * i + 3 * j + 5 * c) % 13 - 6));
  const float rois[] = {1.3f, 0.7f, 9.1f, 10.9f, -4, -3, 20, 5, 6.2f, 6.2f, 6.6f, 6.9f};
  const std::vector<float> expected{4, 6, 6, 6, 6, 5, 6,  4, 5,  6, 5,  6, 0,  5, 6,  5, -1, 4,
                                    5, 6, 6, 6, 6, 5, -2, 3, -2, 3, -2, 3, -2, 3, -2, 3, -2, 3};
  RoiPoolArgs<float> args{};
  args.n = 1, args.r = 3, args.c = 2, args.levels = 1;
  args.h[0] = 6, args.w[0] = 7, args.scale[0] = 0.5f, args.rois = rois;
  args.ph = 2, args.pw = 3, args.canonical_size = 224;
  args.x[0] = x.data(), args.y = y.data(), args.argmax = argmax.data();
  Context ctx;
  run(ctx, roi_pool, args);
  CHECK(y == expected);
  for (size_t i = 0; i < y.size(); ++i) {
    REQUIRE(argmax[i] >= 0);
    CHECK(x[static_cast<size_t>(argmax[i]) * 2 + i % 2] == y[i]);
  }
}

TEST_CASE("roi_pool: the first of equal maxima is taken, NaN is a maximum, and empty bins give 0") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const float x[4] = {1, 3, 3, 2};  // 2 x 2
  const float with_nan[4] = {1, nan, 3, 2};
  float rois[4] = {0, 0, 1, 1};
  float y[1];
  int32_t argmax[1];
  RoiPoolArgs<float> args{};
  args.n = args.r = args.c = args.ph = args.pw = 1;
  args.levels = 1;
  args.h[0] = args.w[0] = 2, args.scale[0] = 1, args.rois = rois, args.canonical_size = 8;
  args.x[0] = x, args.y = y, args.argmax = argmax;
  Context ctx;
  run(ctx, roi_pool, args);
  CHECK(y[0] == 3);
  CHECK(argmax[0] == 1);
  args.x[0] = with_nan;
  run(ctx, roi_pool, args);
  CHECK(std::isnan(y[0]));
  CHECK(argmax[0] == 1);
  for (const float bad : {nan, std::numeric_limits<float>::infinity(), 40.0f}) {
    rois[0] = rois[2] = bad;
    y[0] = nan, argmax[0] = 7;
    run(ctx, roi_pool, args);
    CHECK(y[0] == 0);
    CHECK(argmax[0] == -1);
  }
}

TEST_CASE("roi_pool: padding rows give 0 and get no gradient, even if they contain a box") {
  const float x[4] = {1, 3, 3, 2};
  const float rois[8] = {0, 0, 1, 1, 0, 0, 1, 1};
  const int32_t count[1] = {1};
  float y[2], dx[4];
  const float dy[2] = {5, 7};
  int32_t argmax[2];
  RoiPoolArgs<float> args{};
  args.n = args.c = args.ph = args.pw = 1, args.r = 2;
  args.levels = 1;
  args.h[0] = args.w[0] = 2, args.scale[0] = 1, args.rois = rois, args.count = count, args.canonical_size = 8;
  args.x[0] = x, args.y = y, args.argmax = argmax;
  Context ctx;
  run(ctx, roi_pool, args);
  CHECK(y[0] == 3);
  CHECK(y[1] == 0);
  CHECK(argmax[1] == -1);
  argmax[1] = 12345;  // not read
  RoiPoolBackwardArgs<float> back{args};
  back.dy = dy, back.argmax = argmax, back.dx[0] = dx;
  run(ctx, roi_pool_backward, back);
  const float expected[4] = {0, 5, 0, 0};
  for (int i = 0; i < 4; ++i) CHECK(dx[i] == expected[i]);
}

TEST_CASE("roi_pool_backward: a level that needs no gradient is not touched") {
  const RoiCase c = roi_pool_cases()[0];
  auto all = prepare_roi_pool_backward<float>(c, Filler(5, Fill::normal));
  auto some = prepare_roi_pool_backward<float>(c, Filler(5, Fill::normal));
  const Tensor untouched = some.outputs[1].clone();
  some.args.dx[1] = nullptr;
  Context ctx;
  run(ctx, roi_pool_backward, all.args);
  run(ctx, roi_pool_backward, some.args);
  CHECK(std::memcmp(some.outputs[1].raw(), untouched.raw(), untouched.bytes()) == 0);
  CHECK(difference(some.outputs[0], all.outputs[0], {}) == "");
  CHECK(difference(some.outputs[2], all.outputs[2], {}) == "");
}

}  // namespace rcnn::kernels
