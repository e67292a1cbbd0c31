// JSON files, with errors that say what is wrong with a text that is not JSON, and where.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace rcnn {

/// A parsed file. Elements point into it.
class JsonFile {
 public:
  /// Throws InputError naming the file if it cannot be opened or is not JSON (see `json_fault`).
  explicit JsonFile(const std::filesystem::path& path);

  const std::string& file() const { return file_; }
  const simdjson::dom::element& root() const { return root_; }

 private:
  std::string file_;
  simdjson::dom::parser parser_;
  simdjson::dom::element root_;
};

/// What is wrong with a text that is not JSON, as a sentence without its subject, the file: that it is empty,
/// cut off, in another encoding than UTF-8, or that it has a NaN, a superfluous comma or something else, at
/// which byte and line. `parser_message` is for what is not recognised.
std::string json_fault(std::string_view text, std::string_view parser_message);

/// A value as text for a message, cut off if it is long.
std::string as_text(const simdjson::dom::element& value);

/// A number, which may also be written as text: 12, "12".
std::optional<double> number_in(const simdjson::dom::element& value);

/// A whole number, which may also be written as 12.0 or as text.
std::optional<int64_t> whole_number_in(const simdjson::dom::element& value);

}  // namespace rcnn
