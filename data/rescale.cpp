#include "data/rescale.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace rcnn {

BoxScale box_scale(const SizePair& sizes) {
  if (sizes.said.width <= 0 || sizes.said.height <= 0) return {};
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
  const auto fits = [&](int side, int expected) { return std::abs(side * factor - expected) <= 1; };
  const bool common = std::all_of(images.begin(), images.end(), [&](const SizePair& image) {
    return fits(image.said.width, image.found.width) && fits(image.said.height, image.found.height);
  });
  return common ? std::optional(factor) : std::nullopt;
}

Fault common_factor_fault(const std::filesystem::path& root, const std::string& what, double factor,
                          bool rescaled) {
  return {root,
          fmt::format("{}: {} are all {:.4g} times as large as their annotations say{}.", root.string(), what,
                      factor,
                      rescaled ? ", and their boxes were scaled by that"
                               : ": they were resized after they were labelled, and every box is wrong; "
                                 "--rescale-boxes scales the boxes"),
          FaultKind::other_scale};
}

}  // namespace rcnn
