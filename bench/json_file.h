// JSON files of figures, shapes and plans.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/files/source_file.h"
#include "core/text.h"

namespace rcnn {

/// The JSON of a file of figures or shapes. Throws InputError, which names the file, if it cannot be read, is
/// larger than any such file, or is nested more deeply; with `strict` also if it is no JSON, with the line.
template <class Json>
Json json_of_file(const std::filesystem::path& path, bool strict = false) {
  constexpr uint64_t kMaxBytes = uint64_t{64} << 20;
  constexpr int kMaxDepth = 32;
  const SourceFile source(path);
  check_input(source.size() <= kMaxBytes, "{}: it has {} bytes; expected at most {}", path.string(),
              source.size(), kMaxBytes);
  std::string text(source.size(), '\0');
  text.resize(source.read_up_to(0, text.data(), text.size()));
  const auto check_depth = [&](int depth, auto, const Json&) {
    check_input(depth <= kMaxDepth, "{}: its lists are nested more than {} deep", path.string(), kMaxDepth);
    return true;
  };
  try {
    return Json::parse(text, check_depth, strict);    // otherwise discarded if it is no JSON
  } catch (const nlohmann::json::exception& error) {  // no JSON, or a number that no double holds
    // The library's sentence, "parse error at line 3, ...", follows its own name and number in brackets.
    const std::string_view what = error.what();
    throw InputError(fmt::format("{}: this is not JSON: {}", path.string(),
                                 printable(what.substr(std::min(what.find("] ") + 2, what.size())))));
  }
}

}  // namespace rcnn
