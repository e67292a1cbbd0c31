#include <doctest/doctest.h>

#include <limits>

#include "core/rng.h"
#include "kernels/boxes/box_math.h"

namespace rcnn::kernels {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kOnes[4] = {1, 1, 1, 1};

Box box(float x1, float y1, float x2, float y2) { return {x1, y1, x2, y2}; }

bool near(double a, double b, double tolerance) { return std::fabs(a - b) <= tolerance; }

bool near(const Box& a, const Box& b, double tolerance) {
  return near(a.x1, b.x1, tolerance) && near(a.y1, b.y1, tolerance) && near(a.x2, b.x2, tolerance) &&
         near(a.y2, b.y2, tolerance);
}

}  // namespace

TEST_CASE("iou: overlaps worked out by hand") {
  CHECK(box_area(box(1, 2, 4, 7)) == 15);  // no + 1
  CHECK(iou(box(0, 0, 2, 2), box(0, 0, 2, 2)) == 1);
  CHECK(iou(box(0, 0, 2, 2), box(1, 1, 3, 3)) == 1.0f / 7);
  CHECK(iou(box(0, 0, 4, 4), box(1, 1, 3, 3)) == 0.25f);
  CHECK(iou(box(0, 0, 2, 2), box(2, 0, 4, 2)) == 0);  // they touch
  CHECK(iou(box(0, 0, 1, 1), box(5, 5, 6, 6)) == 0);
  CHECK(iou(box(-2, -2, 0, 0), box(-1, -2, 1, 0)) == 2.0f / 6);
}

TEST_CASE("iou: empty, reversed and non-finite boxes overlap nothing") {
  const Box unit = box(0, 0, 1, 1);
  CHECK(iou(box(0.5f, 0.5f, 0.5f, 0.5f), box(0.5f, 0.5f, 0.5f, 0.5f)) == 0);
  CHECK(iou(unit, box(0.5f, 0, 0.5f, 1)) == 0);
  CHECK(iou(unit, box(1, 1, 0, 0)) == 0);
  CHECK(iou(unit, box(1, 0, 0, 1)) == 0);
  CHECK(iou(box(1, 0, 0, 1), box(1, 0, 0, 1)) == 0);
  for (int i = 0; i < 4; ++i)
    for (const float bad : {kNaN, kInfinity, -kInfinity}) {
      float corners[4] = {0, 0, 1, 1};
      corners[i] = bad;
      CHECK(iou(unit, load_box(corners)) == 0);
      CHECK(iou(load_box(corners), unit) == 0);
      CHECK(iou(load_box(corners), load_box(corners)) == 0);
    }
}

TEST_CASE("iou is symmetric to the last bit") {
  RandomSequence random(5, Purpose::test);
  const auto draw = [&] {
    const float x = random.uniform(0, 50), y = random.uniform(0, 50);
    return box(x, y, x + random.uniform(1, 60), y + random.uniform(1, 60));
  };
  for (int i = 0; i < 1000; ++i) {
    const Box a = draw(), b = draw();
    CHECK(iou(a, b) == iou(b, a));
  }
}

TEST_CASE("encode: an example with weights, worked out by hand") {
  const float weights[4] = {10, 10, 5, 5};
  float delta[4];
  // Centres (5, 10) and (7, 8), sizes 10 x 20 and 20 x 10.
  encode(box(0, 0, 10, 20), box(-3, 3, 17, 13), weights, delta);
  CHECK(near(delta[0], 10 * 0.2, 1e-6));
  CHECK(near(delta[1], 10 * -0.1, 1e-6));
  CHECK(near(delta[2], 5 * std::log(2.0), 1e-6));
  CHECK(near(delta[3], 5 * -std::log(2.0), 1e-6));
}

TEST_CASE("decode: examples worked out by hand; sizes grow at most by a factor of 1000 / 16") {
  const float delta[4] = {0.5f, -0.25f, std::log(2.0f), 0};
  CHECK(near(decode(box(0, 0, 10, 20), delta, kOnes), box(0, -5, 20, 15), 1e-5));
  const float weights[4] = {2, 4, 5, 10};
  const float weighted[4] = {1, -1, 5 * std::log(2.0f), 0};
  CHECK(near(decode(box(0, 0, 10, 20), weighted, weights), box(0, -5, 20, 15), 1e-5));
  const float huge[4] = {0, 0, 80, kInfinity};
  CHECK(near(decode(box(-8, -8, 8, 8), huge, kOnes), box(-500, -500, 500, 500), 1e-3));
  CHECK(near(kMaxLogScale, std::log(1000.0 / 16), 1e-15));
}

TEST_CASE("decode undoes encode") {
  RandomSequence random(6, Purpose::test);
  const float weights[4] = {10, 10, 5, 5};
  const auto draw = [&] {
    const float x = random.uniform(-50, 300), y = random.uniform(-50, 300);
    return box(x, y, x + random.uniform(4, 200), y + random.uniform(4, 200));
  };
  for (int i = 0; i < 200; ++i) {
    const Box reference = draw(), gt = draw();
    float delta[4];
    encode(reference, gt, weights, delta);
    CHECK(near(decode(reference, delta, weights), gt, 1e-3));
  }
}

TEST_CASE("decode: a NaN in the deltas gives a NaN in the box, which clipping preserves") {
  for (int i = 0; i < 4; ++i) {
    float delta[4] = {};
    delta[i] = kNaN;
    const Box decoded = decode(box(0, 0, 8, 8), delta, kOnes);
    CHECK_FALSE(is_finite(decoded));
    CHECK_FALSE(is_finite(clip(decoded, 10.0f, 10.0f)));
    CHECK_FALSE(is_large_enough(decoded, 0.0f));
  }
}

TEST_CASE("clip: the right edge of the image is at x = width") {
  const Box inside = clip(box(-5, -6, 50, 60), 30.0f, 40.0f);
  CHECK(near(inside, box(0, 0, 40, 30), 0));
  CHECK(near(clip(box(3, 4, 5, 6), 30.0f, 40.0f), box(3, 4, 5, 6), 0));
  CHECK(near(clip(box(41, 31, 50, 60), 30.0f, 40.0f), box(40, 30, 40, 30), 0));
}

TEST_CASE("spanned: boxes whose corners are whole pixels behave as in py-faster-rcnn") {
  CHECK(near(spanned(box(1, 2, 4, 7), 0.0f), box(1, 2, 4, 7), 0));
  CHECK(box_area(spanned(box(1, 2, 4, 7), 1.0f)) == 24);  // 4 x 6 pixels
  CHECK(box_area(spanned(box(5, 5, 5, 5), 1.0f)) == 1);   // one pixel
  const auto overlap = [](const Box& a, const Box& b) { return iou(spanned(a, 1.0f), spanned(b, 1.0f)); };
  CHECK(overlap(box(0, 0, 1, 1), box(1, 1, 2, 2)) == 1.0f / 7);  // one common pixel of 4 + 4 - 1
  CHECK(overlap(box(0, 0, 1, 1), box(2, 0, 3, 1)) == 0);         // neighbours
  CHECK(overlap(box(0, 0, 1, 1), box(0, kNaN, 1, 1)) == 0);
  CHECK(is_large_enough(spanned(box(3, 3, 18, 18), 1.0f), 16.0f));
  CHECK_FALSE(is_large_enough(spanned(box(3, 3, 18, 17.9f), 1.0f), 16.0f));

  // 16 x 16 pixels with the centre (8, 8), and 16 x 32 with the centre (16, 16).
  float delta[4];
  const Box reference = spanned(box(0, 0, 15, 15), 1.0f);
  encode(reference, spanned(box(8, 0, 23, 31), 1.0f), kOnes, delta);
  CHECK(near(delta[0], 0.5, 0));
  CHECK(near(delta[1], 0.5, 0));
  CHECK(near(delta[2], 0, 0));
  CHECK(near(delta[3], std::log(2.0), 1e-7));
  // Beware: decoding makes a box that is one pixel wider and higher than the encoded one.
  CHECK(near(decode(reference, delta, kOnes), box(8, 0, 24, 32), 1e-5));
}

TEST_CASE("clip: with whole pixels, the last ones are width - 1 and height - 1") {
  CHECK(near(clip(box(-5, -6, 50, 60), 30.0f, 40.0f, 1.0f), box(0, 0, 39, 29), 0));
  CHECK(near(clip(box(39.5f, 3, 39.5f, 4), 30.0f, 40.0f, 1.0f), box(39, 3, 39, 4), 0));
}

TEST_CASE("decode: the size can grow without a limit") {
  const float delta[4] = {0, 0, std::log(100.0f), kInfinity};
  const Box wide = decode(box(-8, -8, 8, 8), delta, kOnes, kInfinity);
  CHECK(near(wide.x1, -800, 1e-3));
  CHECK(near(wide.x2, 800, 1e-3));
  CHECK(wide.y2 == kInfinity);
  CHECK(near(decode(box(-8, -8, 8, 8), delta, kOnes, std::log(2.0f)), box(-16, -16, 16, 16), 1e-5));
}

TEST_CASE("is_inside: the right and the lower edge are outside, and so is NaN") {
  CHECK(is_inside(box(0, 0, 39, 29), 30.0f, 40.0f));
  CHECK(is_inside(box(0, 0, std::nextafter(40.0f, 0.0f), 29), 30.0f, 40.0f));
  CHECK_FALSE(is_inside(box(0, 0, 40, 29), 30.0f, 40.0f));
  CHECK_FALSE(is_inside(box(0, 0, 39, 30), 30.0f, 40.0f));
  CHECK_FALSE(is_inside(box(-0.5f, 0, 39, 29), 30.0f, 40.0f));
  CHECK_FALSE(is_inside(box(0, -0.5f, 39, 29), 30.0f, 40.0f));
  for (int i = 0; i < 4; ++i) {
    float corners[4] = {1, 1, 2, 2};
    corners[i] = kNaN;
    CHECK_FALSE(is_inside(load_box(corners), 30.0f, 40.0f));
  }
}

TEST_CASE("is_finite and is_large_enough: examples at the limits") {
  CHECK(is_finite(box(1, 2, 3, 4)));
  CHECK(is_finite(box(-3e38f, 3e38f, 3e38f, -3e38f)));
  CHECK_FALSE(is_finite(box(1, 2, kInfinity, 4)));
  CHECK_FALSE(is_finite(box(-kInfinity, 2, kInfinity, 4)));
  CHECK_FALSE(is_finite(box(1, kNaN, 3, 4)));
  CHECK(is_large_enough(box(0, 0, 2, 3), 2.0f));  // exactly the minimum
  CHECK_FALSE(is_large_enough(box(0, 0, 3, 1.99f), 2.0f));
  CHECK_FALSE(is_large_enough(box(0, 0, 1.99f, 3), 2.0f));
}

}  // namespace rcnn::kernels
