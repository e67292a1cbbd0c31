#include "data/transforms.h"

#include <algorithm>
#include <utility>

namespace rcnn {

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

}  // namespace rcnn
