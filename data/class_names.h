// Class names in a sentence.
#pragma once

#include <fmt/ranges.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

namespace rcnn {

/// "cat, dog"; of many names the first dozen: "person, bicycle, ... and 78 more". A model trained on COCO has
/// 90 names, and a sentence that lists all of them is not read.
inline std::string list_names(const std::vector<std::string>& names) {
  constexpr size_t kShown = 12;
  const auto shown = std::span(names).first(std::min(kShown, names.size()));
  std::string text = fmt::format("{}", fmt::join(shown, ", "));
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  return text;
}

}  // namespace rcnn
