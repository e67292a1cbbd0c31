#include "kernels/spatial/preprocess_cases.h"
#include "tests/kernels/hand_worked.h"

namespace rcnn::kernels {
namespace {

/// Runs every variant on one image and gives each result to `check`.
template <class Check>
void each_variant(const PreprocessImage& image, int64_t height, int64_t width, const PreprocessArgs& options,
                  Check check) {
  const auto make = [&] {
    Prepared<PreprocessArgs> p;
    PreprocessImage copy = image;
    copy.pixels = given(p, std::vector<uint8_t>(image.pixels, image.pixels + image.h * image.w * 3));
    p.inputs.push_back(bytes_of(std::span<const PreprocessImage>(&copy, 1)));
    p.args = options;
    p.args.n = 1;
    p.args.images = static_cast<const PreprocessImage*>(p.inputs.back().raw());
    p.args.height = height;
    p.args.width = width;
    p.args.y = poisoned<float>(p, height * width * 3);
    return p;
  };
  hand_worked(preprocess, make, [&](const auto& outputs) { check(outputs[0]); });
}

}  // namespace

VERIFY_OP(preprocess)

TEST_CASE("preprocess: resizing, padding and the order of channels, worked out by hand") {
  const uint8_t pixels[] = {0, 10, 20, 100, 110, 120};  // 1 x 2
  PreprocessArgs args{};
  args.range = 1;
  std::fill_n(args.deviation, 3, 1.0f);
  using Row = std::vector<float>;
  // Twice as wide: the output pixels are at -1/4 (clamped to 0), 1/4, 3/4 and 5/4 (clamped to 1) in the
  // input.
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

TEST_CASE("preprocess: source positions are as exact as in torch") {
  // The expected values are from torch's bilinear interpolation of a column of 220 pixels, alternating 0 and
  // 1, to 187 pixels. If positions were computed in float, the weights would lose their last three digits.
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

TEST_CASE("preprocess: the values are those of torchvision 0.14") {
  // normalize and resize of GeneralizedRCNNTransform, applied to 3 x 5 pixels with bytes (37 i + 91 j + 53 k)
  // mod 256: to 4 x 6, and with the same interpolation to 2 x 3.
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

}  // namespace rcnn::kernels
