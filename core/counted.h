// Numbers with their nouns, for sentences.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace rcnn {

/// "1 step", "0 steps", "12 steps". The plural is the noun with an s, or `plural`.
inline std::string counted(int64_t count, std::string_view noun, std::string_view plural = "") {
  if (count == 1) return fmt::format("1 {}", noun);
  return plural.empty() ? fmt::format("{} {}s", count, noun) : fmt::format("{} {}", count, plural);
}

}  // namespace rcnn
