#include "models/transform.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace rcnn;

TEST_CASE("resized_size: the sizes are those of torchvision 0.14") {
  const int64_t cases[][6] = {
      // h, w, short side, long side: h, w of GeneralizedRCNNTransform.resize
      {375, 500, 800, 1333, 799, 1066},  // one less than asked for
      {480, 640, 800, 1333, 800, 1066},   {427, 640, 800, 1333, 799, 1199}, {500, 333, 600, 1000, 900, 599},
      {100, 3000, 800, 1333, 44, 1332},   {480, 640, 240, 400, 240, 320},   {240, 320, 240, 400, 240, 320},
      {1365, 2048, 800, 1333, 800, 1200}, {7, 5, 224, 224, 224, 160},       {333, 500, 600, 1000, 599, 900},
      {353, 500, 600, 1000, 599, 849},    {1, 5000, 800, 1333, 1, 1332},  // at least one pixel
  };
  for (const auto& c : cases) {
    CAPTURE(c[0]);
    CAPTURE(c[1]);
    const ResizedSize size = resized_size(c[0], c[1], c[2], c[3]);
    CHECK(size.h == c[4]);
    CHECK(size.w == c[5]);
    CHECK(std::fabs(static_cast<double>(c[0]) * size.scale - static_cast<double>(c[4])) <= 1);
  }
}

TEST_CASE("resized_size: the sizes and scales are those of py-faster-rcnn, worked out by hand") {
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
      {1, 5000, 600, 1000, 1, 1000, 0.2},               // at least one pixel
      {600, 1000, 600, 1000, 600, 1000, 1},
  };
  for (const auto& c : cases) {
    CAPTURE(c.h);
    CAPTURE(c.w);
    const ResizedSize size = resized_size(c.h, c.w, c.short_side, c.long_side, SizeRounding::caffe2015);
    CHECK(size.h == c.rh);
    CHECK(size.w == c.rw);
    CHECK(size.scale == c.scale);
  }
}
