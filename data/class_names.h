// Class names in a sentence, and those that a person would take for one.
#pragma once

#include <fmt/ranges.h>

#include <algorithm>
#include <cstddef>
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

/// Groups of names, as positions, that differ in capitals, the Unicode form of letters with marks, spaces, -
/// and _ only. Names in a group, and the groups by their first names, are in the order in which they were.
std::vector<std::vector<size_t>> similar_names(const std::vector<std::string>& names);

}  // namespace rcnn
