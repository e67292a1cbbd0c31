#include "kernels/spatial/preprocess_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {
namespace {

/// Runs every variant for the CPU on one image and gives each result to `check`.
template <class Check>
void each_variant(const PreprocessImage& image, int64_t height, int64_t width, PreprocessArgs args,
                  Check check) {
  Context ctx;
  for (const auto& variant : preprocess.variants) {
    if (!variant.run || variant.backend.device != DeviceType::cpu) continue;
    CAPTURE(variant.name);
    std::vector<float> y(static_cast<size_t>(height * width * 3), std::numeric_limits<float>::quiet_NaN());
    args.n = 1;
    args.images = &image;
    args.height = height;
    args.width = width;
    args.y = y.data();
    const Workspace::Scope scope(ctx.workspace);
    variant.run(ctx.stream, ctx.workspace, args);
    check(y);
  }
}

}  // namespace

VERIFY_OP(preprocess)

TEST_CASE("preprocess: resizing, padding and the order of channels by hand") {
  const uint8_t pixels[] = {0, 10, 20, 100, 110, 120};  // 1 x 2
  PreprocessArgs args{};
  args.range = 1;
  std::fill_n(args.deviation, 3, 1.0f);
  using Row = std::vector<float>;
  // Twice as wide: output pixels lie at -1/4 (taken as 0), 1/4, 3/4 and 5/4 (taken as 1) of the input.
  each_variant({pixels, 1, 2, 1, 4}, 2, 5, args, [](const Row& y) {
    Row expected(30);
    const Row row{0, 10, 20, 25, 35, 45, 75, 85, 95, 100, 110, 120};
    std::copy(row.begin(), row.end(), expected.begin());
    CHECK(y == expected);
  });
  args.bgr = true;
  args.mean[0] = 20, args.mean[1] = 10, args.mean[2] = 4;
  args.deviation[2] = 0.5f;
  each_variant({pixels, 1, 2, 1, 2}, 1, 2, args, [](const Row& y) {
    CHECK(y == Row{0, 0, -8, 100, 100, 192});
  });
}

TEST_CASE("preprocess: pixels are placed as exactly as torch places them") {
  // torch's bilinear interpolation of a column of 220 pixels, 0 and 1 in turn, to 187. In float the place
  // would lose the last three digits of the weight.
  std::vector<uint8_t> pixels;
  for (int i = 0; i < 220; ++i) pixels.insert(pixels.end(), 3, i % 2 == 1 ? 255 : 0);
  PreprocessArgs args{};
  args.range = 1.0f / 255;
  std::fill_n(args.deviation, 3, 1.0f);
  each_variant({pixels.data(), 220, 1, 187, 1}, 187, 1, args, [](const std::vector<float>& y) {
    const std::pair<size_t, float> wanted[] = {
        {122, 0.38234693f}, {150, 0.55883092f}, {180, 0.14704996f}, {186, 0.91177386f}};
    for (const auto& [row, value] : wanted) CHECK(std::fabs(y[row * 3] - value) <= 1e-6f);
  });
}

TEST_CASE("preprocess: the values of torchvision 0.14") {
  // GeneralizedRCNNTransform's normalize, then resize, of 3 x 5 pixels with byte (37 i + 91 j + 53 k) mod
  // 256: to 4 x 6, and by the same interpolation to 2 x 3.
  std::vector<uint8_t> pixels;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 5; ++j)
      for (int k = 0; k < 3; ++k) pixels.push_back(static_cast<uint8_t>((37 * i + 91 * j + 53 * k) % 256));
  PreprocessArgs args{};
  args.range = 1 / 255.0f;
  const float mean[] = {0.485f, 0.456f, 0.406f}, deviation[] = {0.229f, 0.224f, 0.225f};
  std::copy_n(mean, 3, args.mean);
  std::copy_n(deviation, 3, args.deviation);
  struct Expected {
    int i, j, k;
    float value;
  };
  const auto check_values = [](const std::vector<float>& y, int width,
                               const std::vector<Expected>& expected) {
    for (const Expected& e : expected)
      CHECK(std::fabs(y[static_cast<size_t>((e.i * width + e.j) * 3 + e.k)] - e.value) <= 3e-6f);
  };
  each_variant({pixels.data(), 3, 5, 4, 6}, 4, 6, args, [&](const std::vector<float>& y) {
    check_values(y, 6,
                 {{0, 0, 0, -2.117904f},
                  {0, 1, 1, 0.08700991f},
                  {1, 3, 2, -0.1828032f},
                  {2, 4, 0, -0.5659733f},
                  {3, 5, 1, 2.078431f},
                  {2, 2, 2, 0.1410896f}});
  });
  each_variant({pixels.data(), 3, 5, 2, 3}, 2, 3, args, [&](const std::vector<float>& y) {
    check_values(y, 3, {{0, 0, 0, -1.440049f}, {1, 1, 1, -1.269783f}, {1, 2, 2, 0.2943213f}});
  });
}

TEST_CASE("resized_size: the sizes of torchvision 0.14") {
  const int64_t cases[][6] = {
      // h, w, short side, long side: h, w of GeneralizedRCNNTransform.resize
      {375, 500, 800, 1333, 799, 1066},  // one less than asked for
      {480, 640, 800, 1333, 800, 1066},   {427, 640, 800, 1333, 799, 1199}, {500, 333, 600, 1000, 900, 599},
      {100, 3000, 800, 1333, 44, 1332},   {480, 640, 240, 400, 240, 320},   {240, 320, 240, 400, 240, 320},
      {1365, 2048, 800, 1333, 800, 1200}, {7, 5, 224, 224, 224, 160},       {333, 500, 600, 1000, 599, 900},
      {353, 500, 600, 1000, 599, 849},    {1, 5000, 800, 1333, 1, 1332},  // never less than a pixel
  };
  for (const auto& c : cases) {
    CAPTURE(c[0]);
    CAPTURE(c[1]);
    const Resized size = resized_size(c[0], c[1], c[2], c[3]);
    CHECK(size.h == c[4]);
    CHECK(size.w == c[5]);
    CHECK(std::fabs(static_cast<double>(c[0]) * size.scale - static_cast<double>(c[4])) <= 1);
  }
}

TEST_CASE("resized_size: the sizes and scales of py-faster-rcnn, worked by hand") {
  const struct {
    int64_t h, w, short_side, long_side, rh, rw;
    double scale;
  } cases[] = {
      {375, 500, 600, 1000, 600, 800, 600.0 / 375},
      {500, 333, 600, 1000, 901, 600, 600.0 / 333},     // 900.9
      {353, 500, 600, 1000, 600, 850, 600.0 / 353},     // 849.9
      {400, 667, 600, 1000, 600, 1000, 1.5},            // 1000.5 rounds to 1000, which is not too long
      {400, 669, 600, 1000, 598, 1000, 1000.0 / 669},   // 1003.5 rounds to 1004; 597.9
      {100, 3000, 600, 1000, 33, 1000, 1000.0 / 3000},  // 33.3
      {4, 7, 6, 100, 6, 10, 1.5},                       // 10.5
      {4, 5, 6, 100, 6, 8, 1.5},                        // 7.5
      {1, 5000, 600, 1000, 1, 1000, 0.2},               // never less than a pixel
      {600, 1000, 600, 1000, 600, 1000, 1},
  };
  for (const auto& c : cases) {
    CAPTURE(c.h);
    CAPTURE(c.w);
    const Resized size = resized_size(c.h, c.w, c.short_side, c.long_side, SizeRounding::caffe2015);
    CHECK(size.h == c.rh);
    CHECK(size.w == c.rw);
    CHECK(size.scale == c.scale);
  }
}

}  // namespace rcnn::kernels
