// Measurements for programs: a file of one JSON object a line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <utility>

namespace rcnn {

/// Each line is handed to the system before `write` returns, so that nothing is lost when the program is
/// killed.
class JsonLines {
 public:
  /// Starts the file anew. Throws Error naming it when it cannot be written.
  static JsonLines create(const std::filesystem::path& path);

  /// Goes on with the file of a run that is resumed after `step` steps. Everything is removed from the first
  /// line on whose number "step" is larger, or that is not a whole line with a JSON object: a run therefore
  /// writes a step's lines before the checkpoint of that step, and the file ends as that of a run that was
  /// never stopped. A missing file is created. Throws Error as above.
  static JsonLines resume(const std::filesystem::path& path, int64_t step);

  JsonLines(JsonLines&& other) noexcept;
  JsonLines& operator=(JsonLines&&) = delete;
  ~JsonLines();

  /// Appends one line. Numbers that are not finite become null, text that is not UTF-8 gets replacement
  /// characters. Throws Error naming the file when it cannot be written.
  void write(const nlohmann::ordered_json& object);

 private:
  JsonLines(std::filesystem::path path, int file) : path_(std::move(path)), file_(file) {}

  std::filesystem::path path_;
  int file_;
};

}  // namespace rcnn
