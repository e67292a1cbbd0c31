// Changes of colour compared with a slow reference in double precision.
#include "data/colour_jitter.h"

#include <cmath>

#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

double limit(double value) { return std::fmin(std::fmax(value, 0), 255); }

double luma(const double* p) { return 0.2989 * p[0] + 0.587 * p[1] + 0.114 * p[2]; }

/// Turns the hue through HSV, case by case, as in textbooks.
void turn(double* p, double circles) {
  const double max = std::fmax(p[0], std::fmax(p[1], p[2])), min = std::fmin(p[0], std::fmin(p[1], p[2]));
  if (max == min) return;
  const double value = max, saturation = (max - min) / max, range = max - min;
  double hue = 0;
  if (max == p[0])
    hue = (p[1] - p[2]) / range / 6;
  else if (max == p[1])
    hue = (2 + (p[2] - p[0]) / range) / 6;
  else
    hue = (4 + (p[0] - p[1]) / range) / 6;
  hue += circles;
  hue -= std::floor(hue);
  const double sector = std::floor(hue * 6), part = hue * 6 - sector;
  const double low = value * (1 - saturation), falling = value * (1 - saturation * part),
               rising = value * (1 - saturation * (1 - part));
  const double sectors[6][3] = {{value, rising, low},  {falling, value, low}, {low, value, rising},
                                {low, falling, value}, {rising, low, value},  {value, low, falling}};
  std::copy_n(sectors[static_cast<int>(sector) % 6], 3, p);
}

std::vector<double> slowly(const Image& image, const ColourFactors& f) {
  std::vector<double> v(image.rgb.begin(), image.rgb.end());
  for (double& x : v) x = limit(x * static_cast<double>(f.brightness));
  double mean = 0;
  for (size_t i = 0; i < v.size(); i += 3) mean += luma(&v[i]) / static_cast<double>(v.size() / 3);
  const auto contrast = static_cast<double>(f.contrast), saturation = static_cast<double>(f.saturation);
  for (double& x : v) x = limit(contrast * x + (1 - contrast) * mean);
  for (size_t i = 0; i < v.size(); i += 3) {
    const double grey = luma(&v[i]);
    for (size_t c = i; c < i + 3; ++c) v[c] = limit(saturation * v[c] + (1 - saturation) * grey);
    turn(&v[i], static_cast<double>(f.hue));
  }
  return v;
}

void check_against_reference(const Image& image, const ColourFactors& factors) {
  INFO(fmt::format("{} x {}: {} {} {} {}", image.width, image.height, factors.brightness, factors.contrast,
                   factors.saturation, factors.hue));
  const std::vector<double> wanted = slowly(image, factors);
  Image found = image;
  change_colours(found, factors);
  REQUIRE(found.rgb.size() == wanted.size());
  double worst = 0;
  for (size_t i = 0; i < wanted.size(); ++i) worst = std::fmax(worst, std::abs(found.rgb[i] - wanted[i]));
  CHECK(worst <= 0.51);  // rounded once
}

}  // namespace

TEST_CASE("colour jitter: neutral factors change nothing") {
  const Image image = random_image(37, 21);
  Image same = image;
  change_colours(same, {});
  CHECK(same.rgb == image.rgb);
  Image none;
  change_colours(none, {2, 2, 2, 0.2f});
  CHECK(none.rgb.empty());
}

TEST_CASE("colour jitter: each change, and all together, match a reference") {
  for (const auto& [width, height] : {std::pair{1, 1}, {3, 2}, {16, 16}, {37, 21}, {90, 40}})
    for (const Image& image : {random_image(width, height), smooth_image(width, height)})
      for (const ColourFactors factors :
           {ColourFactors{0.6f}, ColourFactors{1.7f}, ColourFactors{0}, ColourFactors{1, 0.5f},
            ColourFactors{1, 1.8f}, ColourFactors{1, 0}, ColourFactors{1, 1, 0.3f}, ColourFactors{1, 1, 1.9f},
            ColourFactors{1, 1, 0}, ColourFactors{1, 1, 1, 0.04f}, ColourFactors{1, 1, 1, -0.1f},
            ColourFactors{1, 1, 1, 0.5f}, ColourFactors{1, 1, 1, -0.5f},
            ColourFactors{1.3f, 0.7f, 1.2f, 0.03f}, ColourFactors{0.7f, 1.4f, 0.6f, -0.04f}})
        check_against_reference(image, factors);
}

TEST_CASE("colour jitter: every corner of the colour cube, and grey stays grey") {
  Image corners(8, 1), grey(256, 1);
  for (int i = 0; i < 8; ++i)
    for (int c = 0; c < 3; ++c) corners.pixel(i, 0)[c] = (i >> c & 1) != 0 ? 255 : 0;
  for (int i = 0; i < 256; ++i) std::fill_n(grey.pixel(i, 0), 3, static_cast<uint8_t>(i));
  for (int i = -10; i <= 10; ++i) check_against_reference(corners, {1, 1, 1, static_cast<float>(i) * 0.05f});
  Image changed = grey;
  change_colours(changed, {1, 1, 1.7f, 0.3f});
  CHECK(changed.rgb == grey.rgb);
  change_colours(changed, {1.2f, 0.8f, 1.7f, 0.3f});
  for (int i = 0; i < 256; ++i) {
    CHECK(changed.pixel(i, 0)[0] == changed.pixel(i, 0)[1]);
    CHECK(changed.pixel(i, 0)[0] == changed.pixel(i, 0)[2]);
  }
  CHECK(changed.rgb != grey.rgb);
}

TEST_CASE("colour jitter: a third of the circle turns red to green to blue") {
  Image image(1, 1);
  image.pixel(0, 0)[0] = 200;
  change_colours(image, {1, 1, 1, 1.0f / 3});
  CHECK(image.rgb == std::vector<uint8_t>{0, 200, 0});
  change_colours(image, {1, 1, 1, 1.0f / 3});
  CHECK(image.rgb == std::vector<uint8_t>{0, 0, 200});
}
