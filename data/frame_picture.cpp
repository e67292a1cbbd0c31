#include "data/frame_picture.h"

#include <algorithm>
#include <cmath>

#include "data/draw.h"
#include "data/orientation.h"
#include "data/transforms.h"

namespace rcnn {
namespace {

constexpr int kMaxSide = 900, kMinSide = 360;  // of a panel, in pixels
constexpr int kHeading = 44, kGap = 12;

/// One of the two images, in a size at which boxes and their names can be read.
Image draw_panel(const Image& image, const std::vector<Object>& objects,
                 const std::vector<std::string>& classes) {
  const int side = std::max(image.width, image.height);
  const double scale = static_cast<double>(std::clamp(side, kMinSide, kMaxSide)) / side;
  const auto scaled = [&](int length) { return std::max(1, static_cast<int>(std::lround(length * scale))); };
  Image panel(scaled(image.width), scaled(image.height));
  const Box window{0, 0, static_cast<float>(image.width), static_cast<float>(image.height)};
  const PixelArea place{0, 0, panel.width, panel.height};
  draw_scaled(image, window, panel, place);
  std::vector<LabelledBox> boxes;
  for (const Object& object : objects) boxes.push_back({moved(object, window, place).box, object.label});
  draw_detections(panel, boxes, classes);
  return panel;
}

/// Copies a panel under its heading.
void place_panel(Image& picture, const Image& panel, int x, const char* heading) {
  for (int y = 0; y < panel.height; ++y)
    std::copy_n(panel.pixel(0, y), size_t{3} * static_cast<size_t>(panel.width),
                picture.pixel(x, kHeading + y));
  const auto left = static_cast<float>(x), top = static_cast<float>(kHeading);
  draw_box(picture,
           {left, top, left + static_cast<float>(panel.width), top + static_cast<float>(panel.height)},
           {255, 255, 255}, heading);
}

}  // namespace

bool frames_differ(const Sample& seen, const Sample& stored) {
  return !std::equal(seen.objects.begin(), seen.objects.end(), stored.objects.begin(), stored.objects.end(),
                     [](const Object& a, const Object& b) { return a.box == b.box && a.label == b.label; });
}

Image draw_both_frames(const Sample& seen, const Sample& stored, const std::vector<std::string>& classes) {
  const Image upright = read_image(seen.image);
  const int back = inverse_orientation(read_image_info(seen.image).orientation);
  std::vector<Object> before_turning = stored.objects;
  for (Object& object : before_turning)
    object.box = turn_box(object.box, back, {upright.width, upright.height});
  const Image left = draw_panel(upright, seen.objects, classes);
  const Image right = draw_panel(turn_image(upright, back), before_turning, classes);
  Image picture(left.width + kGap + right.width, kHeading + std::max(left.height, right.height));
  place_panel(picture, left, 0, "--exif-boxes seen");
  place_panel(picture, right, left.width + kGap, "--exif-boxes stored");
  return picture;
}

}  // namespace rcnn
