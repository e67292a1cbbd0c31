#include "data/transforms.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "core/error.h"

namespace rcnn {
namespace {

/// The two source pixels along one axis from which a target pixel is interpolated; `second` has the weight
/// `share` / 256.
struct Tap {
  int first, second, share;
};

std::vector<Tap> taps_along(float begin, float end, int from, int to) {
  std::vector<Tap> taps(static_cast<size_t>(to));
  const float step = (end - begin) / static_cast<float>(to);
  for (int i = 0; i < to; ++i) {
    const float position = begin + (static_cast<float>(i) + 0.5f) * step - 0.5f;
    const float inside = std::clamp(position, 0.0f, static_cast<float>(from - 1));
    const int first = static_cast<int>(inside);
    taps[static_cast<size_t>(i)] = {
        first, std::min(first + 1, from - 1),
        static_cast<int>(std::lround(256 * (inside - static_cast<float>(first))))};
  }
  return taps;
}

}  // namespace

void flip_horizontal(Image& image, std::vector<Object>& objects) {
  for (int y = 0; y < image.height; ++y)
    for (int left = 0, right = image.width - 1; left < right; ++left, --right)
      std::swap_ranges(image.pixel(left, y), image.pixel(left, y) + 3, image.pixel(right, y));
  const auto width = static_cast<float>(image.width);
  for (Object& object : objects) {
    Box& box = object.box;
    box = {width - box.x2, box.y1, width - box.x1, box.y2};
  }
}

void flip_vertical(Image& image, std::vector<Object>& objects) {
  for (int top = 0, bottom = image.height - 1; top < bottom; ++top, --bottom)
    std::swap_ranges(image.pixel(0, top), image.pixel(0, top) + size_t{3} * static_cast<size_t>(image.width),
                     image.pixel(0, bottom));
  const auto height = static_cast<float>(image.height);
  for (Object& object : objects) {
    Box& box = object.box;
    box = {box.x1, height - box.y2, box.x2, height - box.y1};
  }
}

Image crop(const Image& image, const PixelArea& area) {
  check(area.x >= 0 && area.y >= 0 && area.width >= 0 && area.height >= 0 &&
            area.x + area.width <= image.width && area.y + area.height <= image.height,
        "crop: {} x {} pixels at ({}, {}) do not lie inside an image of {} x {}.", area.width, area.height,
        area.x, area.y, image.width, image.height);
  Image part(area.width, area.height);
  for (int y = 0; y < area.height; ++y)
    std::copy_n(image.pixel(area.x, area.y + y), size_t{3} * static_cast<size_t>(area.width),
                part.pixel(0, y));
  return part;
}

void draw_scaled(const Image& source, const Box& window, Image& target, const PixelArea& place) {
  const std::vector<Tap> columns = taps_along(window.x1, window.x2, source.width, place.width),
                         rows = taps_along(window.y1, window.y2, source.height, place.height);
  std::vector<int> mixed(size_t{3} * static_cast<size_t>(source.width));  // of two rows, in 256ths
  for (int y = 0; y < place.height; ++y) {
    const Tap& row = rows[static_cast<size_t>(y)];
    const uint8_t *upper = source.pixel(0, row.first), *lower = source.pixel(0, row.second);
    for (size_t i = 0; i < mixed.size(); ++i) mixed[i] = (256 - row.share) * upper[i] + row.share * lower[i];
    uint8_t* out = target.pixel(place.x, place.y + y);
    for (const Tap& column : columns) {
      const int *left = mixed.data() + size_t{3} * column.first,
                *right = mixed.data() + size_t{3} * column.second;
      for (int c = 0; c < 3; ++c)
        *out++ = static_cast<uint8_t>(
            ((256 - column.share) * left[c] + column.share * right[c] + (1 << 15)) >> 16);
    }
  }
}

Object moved(const Object& object, const Box& window, const PixelArea& place) {
  const auto along = [](float position, float begin, float end, int first, int count) {
    const auto size = static_cast<float>(count);
    const float scale = size / (end - begin);  // exactly 1 for a crop at whole pixels
    return static_cast<float>(first) + std::clamp((position - begin) * scale, 0.0f, size);
  };
  const auto area = [](const Box& box) {
    return static_cast<double>(box.x2 - box.x1) * static_cast<double>(box.y2 - box.y1);
  };
  Object result = object;
  const Box& from = object.box;
  result.box = {along(from.x1, window.x1, window.x2, place.x, place.width),
                along(from.y1, window.y1, window.y2, place.y, place.height),
                along(from.x2, window.x1, window.x2, place.x, place.width),
                along(from.y2, window.y1, window.y2, place.y, place.height)};
  if (area(from) > 0) result.area *= area(result.box) / area(from);
  return result;
}

}  // namespace rcnn
