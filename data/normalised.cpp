#include "data/normalised.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace rcnn {

void NormalisedBoxes::add(const Box& box, ImageSize image) {
  constexpr int kMinSide = 16;  // of an image that is surely larger than a box of one pixel
  ++boxes_;
  if ((image.width != 0 && image.width < kMinSide) || (image.height != 0 && image.height < kMinSide)) return;
  const auto corners = {box.x1, box.y1, box.x2, box.y2};
  // VOC's first pixel is number 1, so that our box begins at -1 for a share of 0.
  in_first_pixel_ += std::all_of(corners.begin(), corners.end(), [](float c) { return std::abs(c) <= 1; });
  fractional_ += std::any_of(corners.begin(), corners.end(), [](float c) { return c != std::round(c); });
}

void NormalisedBoxes::check(const std::string& file) const {
  check_input(
      boxes_ == 0 || in_first_pixel_ < boxes_ || fractional_ == 0,
      "{}: the boxes look normalised: the coordinates of all {} lie between 0 and 1, as shares of the "
      "width and height of their images, where pixels are expected. Multiply them by the width and "
      "height, or write them as YOLO's labels.",
      file, boxes_);
}

}  // namespace rcnn
