#include "data/transforms.h"

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
