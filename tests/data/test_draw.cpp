#include "data/draw.h"

#include <cmath>
#include <limits>
#include <set>
#include <tuple>

#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

constexpr Colour kRed{255, 0, 0};

Colour colour_at(const Image& image, int x, int y) {
  const uint8_t* pixel = image.pixel(x, y);
  return {pixel[0], pixel[1], pixel[2]};
}

int count_colour(const Image& image, Colour colour) {
  int count = 0;
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) count += colour_at(image, x, y) == colour ? 1 : 0;
  return count;
}

Image grey_image(int width, int height) {
  Image image(width, height);
  std::fill(image.rgb.begin(), image.rgb.end(), uint8_t{128});
  return image;
}

}  // namespace

TEST_CASE("draw: a frame follows the box and does not change its inside") {
  Image image = grey_image(100, 80);
  draw_box(image, {20, 30, 60, 70}, kRed, "");
  for (int x = 20; x < 60; ++x)
    for (const int y : {30, 31, 68, 69}) CHECK(colour_at(image, x, y) == kRed);
  for (int y = 30; y < 70; ++y)
    for (const int x : {20, 21, 58, 59}) CHECK(colour_at(image, x, y) == kRed);
  CHECK(count_colour(image, kRed) == 40 * 40 - 36 * 36);
  CHECK(colour_at(image, 40, 50) == Colour{128, 128, 128});
  CHECK(colour_at(image, 19, 30) == Colour{128, 128, 128});
}

TEST_CASE("draw: the line grows with the image") {
  Image image = grey_image(1200, 900);
  draw_box(image, {100, 100, 1000, 800}, kRed, "");
  int width = 0;
  while (colour_at(image, 100 + width, 400) == kRed) ++width;
  CHECK(width == 4);
}

TEST_CASE("draw: the tag is above the box and has text in a contrasting colour") {
  Image image = grey_image(200, 100);
  draw_box(image, {50, 40, 150, 90}, kRed, "cat 0.97");
  CHECK(colour_at(image, 50, 39) == kRed);
  CHECK(colour_at(image, 51, 30) == kRed);
  CHECK(count_colour(image, {255, 255, 255}) + count_colour(image, {16, 16, 16}) > 20);
  CHECK(colour_at(image, 149, 30) == Colour{128, 128, 128});  // no wider than its text
}

TEST_CASE("draw: text is legible on light and on dark colours") {
  for (const auto& [background, text] : {std::pair{Colour{255, 255, 0}, Colour{16, 16, 16}},
                                         std::pair{Colour{0, 0, 120}, Colour{255, 255, 255}}}) {
    Image image = grey_image(200, 100);
    draw_box(image, {20, 40, 150, 90}, background, "HHHH");
    CHECK(count_colour(image, text) > 20);
  }
}

TEST_CASE("draw: tags stay inside the image at every border") {
  const Colour colour{1, 250, 3};
  for (const Box& box : {Box{0, 0, 30, 30}, Box{190, 0, 200, 20}, Box{190, 90, 200, 100}, Box{0, 90, 10, 100},
                         Box{0, 0, 200, 100}}) {
    Image bare = grey_image(200, 100), tagged = bare;
    draw_box(bare, box, colour, "");
    draw_box(tagged, box, colour, "name 0.50");
    CHECK(count_colour(tagged, colour) + count_colour(tagged, {16, 16, 16}) >
          count_colour(bare, colour) + 400);
  }
}

TEST_CASE("draw: two tags do not cover one another if there is room") {
  const std::vector<std::string> names = {"first", "second"};
  const Box box{60, 50, 120, 90};
  Image one = grey_image(200, 150), two = one;
  draw_detections(one, std::vector<LabelledBox>{{box, 1, 0.9f}}, names);
  draw_detections(two, std::vector<LabelledBox>{{box, 1, 0.9f}, {box, 2, 0.8f}}, names);
  int tag_pixels = 0, kept = 0;
  for (int y = 0; y < 50; ++y)
    for (int x = 0; x < 200; ++x)
      if (!(colour_at(one, x, y) == Colour{128, 128, 128})) {
        ++tag_pixels;
        kept += colour_at(one, x, y) == colour_at(two, x, y) ? 1 : 0;
      }
  CHECK(tag_pixels > 500);
  CHECK(kept == tag_pixels);
  CHECK(count_colour(two, class_colour(2)) > 300);  // the second tag is somewhere else
}

TEST_CASE("draw: a score below zero is not written, a label without a name is a number") {
  const std::vector<std::string> names = {"cat"};
  const auto drawn = [&](const LabelledBox& box) {
    Image image = grey_image(200, 100);
    draw_detections(image, std::span(&box, 1), names);
    return image.rgb;
  };
  const auto by_hand = [](int label, const char* text) {
    Image image = grey_image(200, 100);
    draw_box(image, {20, 40, 90, 90}, class_colour(label), text);
    return image.rgb;
  };
  CHECK(drawn({{20, 40, 90, 90}, 1, 0.974f}) == by_hand(1, "cat 0.97"));
  CHECK(drawn({{20, 40, 90, 90}, 1}) == by_hand(1, "cat"));
  CHECK(drawn({{20, 40, 90, 90}, 7, 0.5f}) == by_hand(7, "7 0.50"));
}

TEST_CASE("draw: UTF-8 names are drawn as their letters, other bytes as replacement characters") {
  const auto drawn = [](std::string_view text) {
    Image image = grey_image(200, 100);
    draw_box(image, {20, 40, 190, 90}, kRed, text);
    return image.rgb;
  };
  CHECK(drawn("größe") != drawn("grosse"));
  CHECK(drawn("ö") != drawn("o"));
  CHECK(drawn("ö") != drawn("Ã¶"));  // the two bytes as two letters
  CHECK(drawn("\xFF") == drawn("\xEF\xBF\xBD"));
  CHECK(drawn("a\xC3") == drawn("a\xEF\xBF\xBD"));
}

TEST_CASE("draw: boxes that are outside, reversed, empty or not finite do no harm") {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              infinity = std::numeric_limits<float>::infinity();
  for (const Box& box :
       {Box{-50, -50, -10, -10}, Box{500, 500, 600, 600}, Box{60, 60, 20, 20}, Box{30, 30, 30, 30},
        Box{nan, nan, nan, nan}, Box{-infinity, -infinity, infinity, infinity}, Box{1e30f, 0, 1e38f, 5}}) {
    for (const int side : {1, 5, 100}) {
      Image image = grey_image(side, side);
      draw_box(image, box, kRed, "a rather long name 0.50");
      CHECK(image.rgb.size() == static_cast<size_t>(side * side * 3));
    }
  }
}

TEST_CASE("draw: every class has its own colour") {
  std::set<std::tuple<int, int, int>> seen;
  for (int label = 1; label <= 40; ++label) {
    const Colour colour = class_colour(label);
    seen.insert({colour.r, colour.g, colour.b});
  }
  CHECK(seen.size() == 40);
  CHECK(class_colour(5) == class_colour(5));
}

TEST_CASE("draw: a dashed frame has dashes and black gaps of equal length, as wide as a solid one") {
  Image image = grey_image(100, 80);
  const DrawnBox dashed{{20, 30, 60, 70}, kRed, "", true};
  draw_boxes(image, {&dashed, 1});
  const int red = count_colour(image, kRed), black = count_colour(image, {0, 0, 0});
  CHECK(red + black == 40 * 40 - 36 * 36);
  CHECK(std::abs(red - black) <= 32);
  CHECK(colour_at(image, 20, 30) == kRed);
  CHECK(colour_at(image, 27, 30) == kRed);
  CHECK(colour_at(image, 28, 30) == Colour{0, 0, 0});
  CHECK(colour_at(image, 34, 31) == Colour{0, 0, 0});
  CHECK(colour_at(image, 36, 30) == kRed);
  CHECK(colour_at(image, 20, 38) == Colour{0, 0, 0});
  CHECK(colour_at(image, 40, 50) == Colour{128, 128, 128});
}

TEST_CASE("draw: a dashed box without area, and one outside the image") {
  Image image = grey_image(40, 40);
  const DrawnBox boxes[] = {{{10, 10, 10, 10}, kRed, "", true}, {{90, 90, 99, 99}, kRed, "", true}};
  draw_boxes(image, boxes);
  CHECK(count_colour(image, kRed) == 0);
}
