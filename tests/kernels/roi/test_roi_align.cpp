#include "kernels/roi/roi_align_cases.h"
#include "kernels/roi/roi_align_math.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {
namespace {

/// An example: one map of 6 x 7 x 2 with x = (7 i + 3 j + 5 c) mod 13 - 6, stride 2, three RoIs, 2 x 2 bins.
struct Small {
  std::vector<float> x;
  std::vector<float> rois{1.3f, 0.7f, 9.1f, 10.9f, -4, -3, 20, 5, 6.2f, 6.2f, 6.6f, 6.9f};
  std::vector<float> y = std::vector<float>(24);

  Small() {
    for (int i = 0; i < 6; ++i)
      for (int j = 0; j < 7; ++j)
        for (int c = 0; c < 2; ++c) x.push_back(static_cast<float>((7 * i + 3 * j + 5 * c) % 13 - 6));
  }
  RoiAlignGrid grid(int sampling, bool aligned) const {
    RoiAlignGrid a{};
    a.n = 1, a.r = 3, a.c = 2;
    a.levels = 1, a.h[0] = 6, a.w[0] = 7, a.scale[0] = 0.5f;
    a.rois = rois.data();
    a.ph = a.pw = 2;
    a.canonical_size = 224, a.canonical_level = 0;
    a.sampling = sampling, a.aligned = aligned;
    return a;
  }
  /// From x to y.
  RoiAlignArgs<float> forward(int sampling, bool aligned) {
    RoiAlignArgs<float> args{grid(sampling, aligned)};
    args.x[0] = x.data(), args.y = y.data();
    return args;
  }
};

/// Runs `check` after each variant that supports the arguments.
template <class A, class A64, class Check>
void each_variant(const Op<A, A64>& op, const A& args, Check check) {
  Context ctx;
  for (const auto& variant : op.variants) {
    if (variant.backend.device != DeviceType::cpu || (variant.supports && !variant.supports(args))) continue;
    CAPTURE(variant.name);
    const Workspace::Scope scope(ctx.workspace);
    variant.run(ctx.stream, ctx.workspace, args);
    check();
  }
}

void check_close(const std::vector<float>& found, const std::vector<float>& expected) {
  REQUIRE(found.size() == expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i);
    CHECK(std::fabs(found[i] - expected[i]) <= 2e-6f);
  }
}

}  // namespace

VERIFY_OP(roi_align)
VERIFY_OP(roi_align_backward)

TEST_CASE("roi_align: the values are those of torchvision 0.14") {
  // torchvision.ops.roi_align(x, rois, (2, 2), 0.5, sampling, aligned) on the CPU, in (RoI, bin, channel)
  // order.
  struct Expected {
    int sampling;
    bool aligned;
    std::vector<float> y;
  };
  const Expected expected[] = {
      {2, false, {-0.8710936f, 0.3507818f,    -1.13414f, 1.346093f, 0.3927345f,  -0.8614841f,
                  0.1063282f,  -0.009374619f, -2.25f,    -0.5f,     -1.25f,      1.25f,
                  -1.5f,       1.875f,        0.75f,     0,         -0.0925001f, 1.95f,
                  -0.8674995f, 3.45f,         1.132501f, -1.05f,    -2.892499f,  0.4500003f}},
      {0, true, {-1.07599f,   1.314531f,   -0.09895857f, -0.03557261f, 0.6188015f,
                 -0.9428123f, -0.1815104f, 0.2082288f,   -1,           0,
                 0,           0.5833333f,  -1.041667f,   0.9583333f,   0.875f,
                 0.4166667f,  -1.175f,     1.184375f,    -0.8750007f,  1.078125f,
                 -2.225002f,  1.613125f,   -1.925002f,   1.734376f}},
      {3, false, {-0.6059027f, 0.6620139f,   -0.6727085f, 0.6791666f,  0.6243057f,  -0.7493055f,
                  0.1837497f,  -0.07583311f, -1.185185f,  -0.7407408f, -0.8518519f, 0.8888889f,
                  -0.1666668f, 0.2592594f,   0.7592593f,  0,           -0.0925001f, 1.95f,
                  -0.842222f,  3.403056f,    1.110834f,   -1.003055f,  -2.781358f,  0.4500006f}},
  };
  Small small;
  for (const Expected& e : expected) {
    CAPTURE(e.sampling);
    RoiAlignArgs<float> args = small.forward(e.sampling, e.aligned);
    each_variant(roi_align, args, [&] { check_close(small.y, e.y); });
  }
}

TEST_CASE("roi_align_backward: the gradients are those of torchvision 0.14") {
  // The gradient of the sum of (k + 1) y[k] with respect to x, where k counts y in (RoI, bin, channel) order.
  Small small;
  std::vector<float> dy(24), dx(84);
  for (size_t k = 0; k < dy.size(); ++k) dy[k] = static_cast<float>(k + 1);
  RoiAlignBackwardArgs<float> args{small.grid(2, false)};
  args.dy = dy.data(), args.dx[0] = dx.data();
  const auto at = [&](int i, int j, int c) { return dx[static_cast<size_t>((i * 7 + j) * 2 + c)]; };
  each_variant(roi_align_backward, args, [&] {
    for (const auto& [value, expected] : {std::pair{at(0, 0, 0), 4.5f},
                                          {at(2, 3, 1), 2.46445f},
                                          {at(5, 4, 0), 1.45742f},
                                          {at(3, 3, 0), 12.59063f},
                                          {at(2, 0, 1), 3.5f},
                                          {at(0, 6, 1), 3.0f}})
      CHECK(std::fabs(value - expected) <= 1e-5f);
    double sum = 0;
    for (float value : dx) sum += static_cast<double>(value);
    CHECK(std::fabs(sum - 273) <= 1e-4);
  });
}

TEST_CASE("roi_align: a map that is linear in row and column gives its values at the centres of the bins") {
  // The map has 8 x 8 pixels with the value 10 row + column. The RoI of 4 x 4 from (2, 1) has bins of 2 x 2
  // with centres at rows 2 and 4 and columns 3 and 5.
  std::vector<float> x, y(4);
  for (int i = 0; i < 8; ++i)
    for (int j = 0; j < 8; ++j) x.push_back(static_cast<float>(10 * i + j));
  const float roi[4] = {2, 1, 6, 5};
  RoiAlignArgs<float> args{};
  args.n = args.r = args.c = 1;
  args.levels = 1;
  args.h[0] = args.w[0] = 8, args.scale[0] = 1, args.rois = roi;
  args.ph = args.pw = 2, args.canonical_size = 1, args.sampling = 2;
  args.x[0] = x.data(), args.y = y.data();
  each_variant(roi_align, args, [&] { check_close(y, {23, 25, 43, 45}); });
  args.aligned = true;  // pixel i is at i + 1/2: half a row and half a column less
  each_variant(roi_align, args, [&] { check_close(y, {17.5f, 19.5f, 37.5f, 39.5f}); });
}

TEST_CASE("roi_align: RoIs with NaN or infinite coordinates, or far outside, give 0 and get no gradient") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const float rois[][4] = {{nan, 0, 9, 9},  {0, nan, 9, 9},  {0, 0, nan, 9},         {0, 0, 9, nan},
                           {-inf, 0, 9, 9}, {0, 0, 9, inf},  {-inf, -inf, inf, inf}, {500, 0, 510, 9},
                           {0, 90, 9, 99},  {-60, 0, -50, 9}};
  for (const bool aligned : {false, true})
    for (const auto& roi : rois) {
      Small small;
      std::copy_n(roi, 4, small.rois.begin());
      RoiAlignArgs<float> args = small.forward(2, aligned);
      args.r = 1;
      small.y.assign(24, nan);
      each_variant(roi_align, args, [&] {
        for (size_t i = 0; i < 8; ++i) CHECK(small.y[i] == 0);
      });
      std::vector<float> dy(8, 1.0f), dx(84, nan);
      RoiAlignBackwardArgs<float> back{args};
      back.dy = dy.data(), back.dx[0] = dx.data();
      each_variant(roi_align_backward, back, [&] {
        for (float value : dx) CHECK(value == 0);
      });
    }
}

TEST_CASE("roi_align_backward: a level that needs no gradient is not touched") {
  const RoiAlignCase c = roi_align_cases()[0];
  auto all = prepare_roi_align_backward<float>(c, Filler(5, Fill::normal));
  auto some = prepare_roi_align_backward<float>(c, Filler(5, Fill::normal));
  const Tensor untouched = some.outputs[1].clone();
  some.args.dx[1] = nullptr;
  each_variant(roi_align_backward, all.args, [] {});
  each_variant(roi_align_backward, some.args, [&] {
    CHECK(std::memcmp(some.outputs[1].raw(), untouched.raw(), untouched.bytes()) == 0);
    const std::vector<double> bound(static_cast<size_t>(all.outputs[0].numel()), 1e-5);
    CHECK(difference(some.outputs[0], all.outputs[0], bound) == "");
    CHECK(difference(some.outputs[2], all.outputs[2], bound) == "");
  });
}

TEST_CASE("roi_align: padding rows give 0 and get no gradient, even if they contain a box") {
  Small small;
  const int32_t count[1] = {2};
  RoiAlignArgs<float> args = small.forward(2, false);
  args.count = count;
  each_variant(roi_align, args, [&] {
    CHECK(small.y[8] != 0);
    for (size_t i = 16; i < 24; ++i) CHECK(small.y[i] == 0);
  });
  std::vector<float> dy(24), dx(84);
  std::fill(dy.begin() + 16, dy.end(), 1.0f);
  RoiAlignBackwardArgs<float> back{args};
  back.dy = dy.data(), back.dx[0] = dx.data();
  each_variant(roi_align_backward, back, [&] { CHECK(dx == std::vector<float>(84)); });
}

TEST_CASE("roi_level: chooses the same level as torchvision's LevelMapper") {
  RoiLevels a{};
  a.levels = 4, a.canonical_size = 224, a.canonical_level = 2;
  const auto level = [&](float side) {
    const float roi[4] = {3, 5, 3 + side, 5 + side};
    return roi_level(a, roi);
  };
  CHECK(level(1) == 0);
  CHECK(level(111.9f) == 0);
  CHECK(level(112) == 1);
  CHECK(level(223.9f) == 1);
  CHECK(level(223.99999f) == 2);  // because LevelMapper adds 1e-6
  CHECK(level(447.9f) == 2);
  CHECK(level(448) == 3);
  CHECK(level(5000) == 3);
  a.canonical_size = 64, a.canonical_level = 1;
  const float wide[4] = {10, 10, 138, 42};  // 128 x 32 has the area of 64 x 64
  CHECK(roi_level(a, wide) == 1);
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const float none[4] = {9, 9, 9, 9}, reversed[4] = {9, 9, 3, 20}, no_number[4] = {nan, 0, 5, 5},
              endless[4] = {0, 0, inf, inf};
  CHECK(roi_level(a, none) == 0);
  CHECK(roi_level(a, reversed) == 0);
  CHECK(roi_level(a, no_number) == 0);
  CHECK(roi_level(a, endless) == 3);
}

TEST_CASE("roi_align: the cases use all of their levels") {
  for (const RoiAlignCase& c : roi_align_cases()) {
    if (c.roi.r < 10) continue;
    CAPTURE(c.roi.levels);
    CAPTURE(c.roi.n);
    CAPTURE(c.roi.h);
    std::vector<Tensor> keep;
    Filler fill(1, Fill::normal);
    const RoiLevels a = make_roi_levels(c.roi, fill, keep);
    std::vector<int> rois(static_cast<size_t>(a.levels));
    for (int64_t k = 0; k < a.n * a.r; ++k)
      if (!is_padding(a, k / a.r, k % a.r)) ++rois[static_cast<size_t>(roi_level(a, a.rois + k * 4))];
    for (size_t l = 0; l < rois.size(); ++l) {
      CAPTURE(l);
      CHECK(rois[l] > 0);
    }
  }
}

TEST_CASE("roi_axis: adaptive sampling uses at most one point per pixel of the map") {
  CHECK(roi_axis(0, 20, 1, 7, 50, 0, false).points == 3);
  CHECK(roi_axis(0, 21, 1, 7, 50, 0, false).points == 3);
  CHECK(roi_axis(0, 0, 1, 7, 50, 0, false).points == 1);
  CHECK(roi_axis(0, 0, 1, 7, 50, 0, true).points == 0);
  CHECK(roi_axis(9, 2, 1, 7, 50, 0, true).points == 0);
  CHECK(roi_axis(0, 1e30f, 1, 7, 50, 0, false).points == 50);
  CHECK(roi_axis(0, std::numeric_limits<float>::quiet_NaN(), 1, 7, 50, 0, false).points == 0);
}

}  // namespace rcnn::kernels
