#include "data/transforms.h"

#include <algorithm>
#include <utility>

#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

const std::vector<Object> kObjects = {{{0, 0, 3, 2}, 1, false}, {{2.5f, 1, 7, 4}, 2, true}};

}  // namespace

TEST_CASE("transforms: a horizontal flip mirrors pixels and boxes") {
  for (const int width : {7, 8}) {
    const Image before = random_image(width, 4);
    Image after = before;
    std::vector<Object> objects = kObjects;
    flip_horizontal(after, objects);
    for (int y = 0; y < 4; ++y)
      for (int x = 0; x < width; ++x)
        REQUIRE(std::equal(before.pixel(x, y), before.pixel(x, y) + 3, after.pixel(width - 1 - x, y)));
    const auto w = static_cast<float>(width);
    CHECK(objects[0] == Object{{w - 3, 0, w, 2}, 1, false});
    CHECK(objects[1] == Object{{w - 7, 1, w - 2.5f, 4}, 2, true});
    flip_horizontal(after, objects);
    CHECK(after.rgb == before.rgb);
    CHECK(objects == kObjects);
  }
}

TEST_CASE("transforms: a vertical flip mirrors pixels and boxes") {
  for (const int height : {4, 5}) {
    const Image before = random_image(7, height);
    Image after = before;
    std::vector<Object> objects = kObjects;
    flip_vertical(after, objects);
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < 7; ++x)
        REQUIRE(std::equal(before.pixel(x, y), before.pixel(x, y) + 3, after.pixel(x, height - 1 - y)));
    const auto h = static_cast<float>(height);
    CHECK(objects[0] == Object{{0, h - 2, 3, h}, 1, false});
    CHECK(objects[1] == Object{{2.5f, h - 4, 7, h - 1}, 2, true});
    flip_vertical(after, objects);
    CHECK(after.rgb == before.rgb);
    CHECK(objects == kObjects);
  }
}

TEST_CASE("transforms: a box still frames its pixels after a flip") {
  Image image(9, 6);
  std::vector<Object> objects = {{{2, 1, 5, 3}, 1, false}};
  for (int y = 1; y < 3; ++y)
    for (int x = 2; x < 5; ++x) image.pixel(x, y)[0] = 255;
  flip_horizontal(image, objects);
  flip_vertical(image, objects);
  const Box box = objects[0].box;
  for (int y = 0; y < 6; ++y)
    for (int x = 0; x < 9; ++x) {
      const auto fx = static_cast<float>(x), fy = static_cast<float>(y);
      const bool inside = fx >= box.x1 && fx + 1 <= box.x2 && fy >= box.y1 && fy + 1 <= box.y2;
      CHECK((image.pixel(x, y)[0] == 255) == inside);
    }
}

TEST_CASE("transforms: a crop has the pixels of its area") {
  const Image image = random_image(9, 6);
  const Image part = crop(image, {2, 1, 5, 4});
  REQUIRE(part.width == 5);
  REQUIRE(part.height == 4);
  for (int y = 0; y < 4; ++y)
    for (int x = 0; x < 5; ++x)
      REQUIRE(std::equal(part.pixel(x, y), part.pixel(x, y) + 3, image.pixel(x + 2, y + 1)));
  CHECK(crop(image, {0, 0, 9, 6}).rgb == image.rgb);
  CHECK_THROWS_AS(crop(image, {5, 1, 5, 4}), Error);
}

TEST_CASE("transforms: drawing copies at the same size, and interpolates between pixel centres at another") {
  const Image image = random_image(9, 6);
  Image target(12, 8);
  draw_scaled(image, {0, 0, 9, 6}, target, {2, 1, 9, 6});
  CHECK(crop(target, {2, 1, 9, 6}).rgb == image.rgb);
  CHECK(target.pixel(1, 1)[0] == 0);
  CHECK(target.pixel(2, 0)[0] == 0);

  // Two pixels drawn over four: the centres lie at .25, .75, 1.25 and 1.75 in the source, whose own centres
  // are .5 and 1.5.
  Image pair(2, 1), row(4, 1);
  std::fill_n(pair.pixel(1, 0), 3, uint8_t{100});
  draw_scaled(pair, {0, 0, 2, 1}, row, {0, 0, 4, 1});
  for (const auto& [x, value] : {std::pair{0, 0}, {1, 25}, {2, 75}, {3, 100}})
    CHECK(row.pixel(x, 0)[1] == value);
  // A window of one pixel in the middle: the centres lie at .625, .875, 1.125 and 1.375.
  draw_scaled(pair, {0.5f, 0, 1.5f, 1}, row, {0, 0, 4, 1});
  for (const auto& [x, value] : {std::pair{0, 13}, {1, 38}, {2, 63}, {3, 88}})
    CHECK(row.pixel(x, 0)[1] == value);
}

TEST_CASE("transforms: a moved box is scaled, shifted and clipped, its outline's area in proportion") {
  Object object{{10, 20, 30, 40}, 2, true};
  object.area = 200;
  // A window of 40 x 40 at (0, 0), drawn at half its size at (100, 50).
  Object wanted{{105, 60, 115, 70}, 2, true};
  wanted.area = 50;
  CHECK(moved(object, {0, 0, 40, 40}, {100, 50, 20, 20}) == wanted);
  // A window with the right half of the object.
  wanted.box = {0, 20, 10, 40};
  wanted.area = 100;
  CHECK(moved(object, {20, 0, 60, 60}, {0, 0, 40, 60}) == wanted);
  // A window without any part of the object.
  CHECK(moved(object, {40, 0, 80, 60}, {0, 0, 40, 60}).box == Box{0, 20, 0, 40});
}
