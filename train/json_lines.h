// Measurements for programs: a file with one JSON object per line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <utility>

namespace rcnn {

/// `write` passes each line to the operating system before it returns, so that nothing is lost when the
/// program is killed.
class JsonLines {
 public:
  /// Creates the file, or empties it. Throws Error naming it when it cannot be written.
  static JsonLines create(const std::filesystem::path& path);

  /// Continues the file of a run that is resumed after `step` steps. The first line whose number "step" is
  /// larger, or that is not a complete JSON object, is removed together with everything after it. Since a run
  /// writes the lines of a step before the checkpoint of that step, the file becomes that of a run that was
  /// never stopped. A missing file is created. Throws Error as above, also when the file cannot be read, and
  /// then leaves it as it is.
  static JsonLines resume(const std::filesystem::path& path, int64_t step);

  /// Writes to no file: for the ranks beside the one that writes.
  static JsonLines nowhere() { return {{}, -1}; }

  JsonLines(JsonLines&& other) noexcept;
  JsonLines& operator=(JsonLines&&) = delete;
  ~JsonLines();

  /// Appends one line. Numbers that are not finite become null; invalid UTF-8 is replaced by replacement
  /// characters. Throws Error naming the file when it cannot be written.
  void write(const nlohmann::ordered_json& object);

  /// Waits until all lines are on the disk: before a checkpoint is written that a run resumes from.
  void sync();

  /// How many of the steps before the one from which the file was resumed have no line in it.
  int64_t missing_steps() const { return missing_; }

  /// How many lines were removed from it then that belong to steps before that one: a line that is complete
  /// but no JSON object, and what follows it.
  int64_t damaged_lines() const { return damaged_; }

 private:
  JsonLines(std::filesystem::path path, int file) : path_(std::move(path)), file_(file) {}

  std::filesystem::path path_;
  int file_;
  int64_t missing_ = 0, damaged_ = 0;
};

}  // namespace rcnn
