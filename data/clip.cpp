#include "data/clip.h"

#include <fmt/format.h>

#include <algorithm>

namespace rcnn {

std::optional<Box> clip_to_image(const Box& box, ImageSize image, const std::string& where,
                                 const std::function<void(FaultKind, const std::string&)>& report) {
  const auto w = static_cast<float>(image.width), h = static_cast<float>(image.height);
  const Box inside{std::max(box.x1, 0.0f), std::max(box.y1, 0.0f), std::min(box.x2, w), std::min(box.y2, h)};
  if (inside == box) return box;
  if (!(inside.x1 < inside.x2 && inside.y1 < inside.y2)) {
    report(FaultKind::box_outside,
           fmt::format("has a box wholly outside the {} x {} image, {}; the object is skipped", image.width,
                       image.height, where));
    return std::nullopt;
  }
  report(FaultKind::box_partly_outside,
         fmt::format("has a box partly outside the {} x {} image, {}; it is clipped", image.width,
                     image.height, where));
  return inside;
}

}  // namespace rcnn
