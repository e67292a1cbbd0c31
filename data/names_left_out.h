// What notes and faults say of files that are left out: how many, and the first of them.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <vector>

#include "core/text.h"

namespace rcnn {

struct NamesLeftOut {
  static constexpr size_t kNamed = 3;
  size_t count = 0;
  std::vector<std::string> first = {};

  void add(const std::string& name) {
    if (count++ < kNamed) first.push_back(printable(name));
  }
  /// "1 image (a) is", "5 images (a, b, c and 2 more) are".
  std::string text(const char* what) const {
    return fmt::format("{} {}{} ({}{}) {}", count, what, count == 1 ? "" : "s", fmt::join(first, ", "),
                       count > first.size() ? fmt::format(" and {} more", count - first.size()) : "",
                       count == 1 ? "is" : "are");
  }
};

}  // namespace rcnn
