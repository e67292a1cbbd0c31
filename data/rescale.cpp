#include "data/rescale.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace rcnn {
namespace {

/// Whether the image is `factor` times as large as is said, to within one pixel.
bool fits(const SizePair& sizes, double factor) {
  const auto is_near = [&](int side, int expected) { return std::abs(side * factor - expected) <= 1; };
  return is_near(sizes.said.width, sizes.found.width) && is_near(sizes.said.height, sizes.found.height);
}

ImageSize exchange(ImageSize size) { return {size.height, size.width}; }

}  // namespace

bool are_exchanged(const SizePair& sizes) {
  const auto [said, found] = sizes;
  if (said.width <= 0 || said.height <= 0) return false;
  const double factor = static_cast<double>(found.width + found.height) / (said.width + said.height);
  return !fits(sizes, factor) && fits({exchange(said), found}, factor);
}

BoxScale box_scale(const SizePair& sizes) {
  if (sizes.said.width <= 0 || sizes.said.height <= 0) return {};
  if (are_exchanged(sizes)) return box_scale({exchange(sizes.said), sizes.found});
  const auto ratio = [](int found, int said) { return static_cast<float>(found) / static_cast<float>(said); };
  return {ratio(sizes.found.width, sizes.said.width), ratio(sizes.found.height, sizes.said.height)};
}

std::optional<double> common_factor(std::span<const SizePair> images) {
  if (images.size() < 3) return std::nullopt;
  double said = 0, found = 0;
  for (const SizePair& image : images) {
    if (image.said.width <= 0 || image.said.height <= 0 || image.said == image.found) return std::nullopt;
    said += image.said.width + image.said.height;
    found += image.found.width + image.found.height;
  }
  const double factor = found / said;
  const bool common =
      std::all_of(images.begin(), images.end(), [&](const SizePair& image) { return fits(image, factor); });
  return common ? std::optional(factor) : std::nullopt;
}

std::pair<std::string, FaultKind> size_fault(const SizePair& sizes, bool rescaled) {
  const auto [said, found] = sizes;
  const std::string both = fmt::format("the size {} x {}, but the image has {} x {}", said.width, said.height,
                                       found.width, found.height);
  if (are_exchanged(sizes)) {
    const BoxScale scale = box_scale(sizes);
    const bool is_scaled = scale.x != 1 || scale.y != 1;
    return {fmt::format("{}: width and height are exchanged; {}", both,
                        !rescaled   ? "the image's size is used"
                        : is_scaled ? "its boxes are scaled as if they were not"
                                    : "its boxes are not scaled"),
            FaultKind::image_size};
  }
  return {fmt::format("{}; {}", both, rescaled ? "its boxes are scaled" : "the image's size is used"),
          rescaled ? FaultKind::rescaled : FaultKind::image_size};
}

Fault common_factor_fault(const std::filesystem::path& root, const std::string& what, double factor,
                          bool rescaled) {
  return {root,
          fmt::format("{}: {} are all {:.4g} times as large as their annotations say{}.", root.string(), what,
                      factor,
                      rescaled ? ", and their boxes were scaled by that"
                               : ": they were resized after they were labelled, and every box is wrong; "
                                 "--rescale-boxes scales the boxes"),
          rescaled ? FaultKind::rescaled : FaultKind::other_scale};
}

}  // namespace rcnn
