#include "train/json_lines.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/files/retry.h"

namespace rcnn {
namespace {

using nlohmann::ordered_json;

[[noreturn]] void fail(const std::filesystem::path& path, int error) {
  throw Error(fmt::format("{} cannot be written: {}.", path.string(), std::strerror(error)));
}

int open_for_appending(const std::filesystem::path& path, int flags) {
  const int file =
      retried([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0666); });
  if (file < 0) fail(path, errno);
  return file;
}

std::string read_all(int file, const std::filesystem::path& path) {
  std::string text;
  std::array<char, 1 << 16> part{};
  while (true) {
    const ssize_t size =
        retried([&] { return ::pread(file, part.data(), part.size(), static_cast<off_t>(text.size())); });
    if (size < 0) fail(path, errno);
    if (size == 0) return text;
    text.append(part.data(), static_cast<size_t>(size));
  }
}

/// What is kept of the file of a run that is resumed.
struct Kept {
  size_t bytes = 0;
  int64_t steps = 0;  // that have a line; lines are in the order of their steps
};

/// The complete lines at the beginning of `text` that are JSON objects whose "step", if they have one, is at
/// most `step`.
Kept lines_before(std::string_view text, int64_t step) {
  Kept kept;
  int64_t newest = 0;
  for (size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n', kept.bytes)) {
    const auto object = ordered_json::parse(text.substr(kept.bytes, end - kept.bytes), nullptr, false);
    if (!object.is_object()) break;
    if (const auto found = object.find("step"); found != object.end()) {
      if (!found->is_number_integer() || found->get<double>() > static_cast<double>(step)) break;
      const auto number = found->get<int64_t>();
      kept.steps += number > newest;
      newest = std::max(newest, number);
    }
    kept.bytes = end + 1;
  }
  return kept;
}

/// How many of these complete lines, the first of which is not kept, would have been if none were damaged.
int64_t count_damaged(std::string_view text, int64_t step) {
  int64_t count = 0;
  for (size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    const auto object = ordered_json::parse(text.substr(0, end), nullptr, false);
    const auto found = object.is_object() ? object.find("step") : object.end();
    count +=
        !object.is_object() ||
        (found != object.end() && (!found->is_number() || found->get<double>() <= static_cast<double>(step)));
    text.remove_prefix(end + 1);
  }
  return count;
}

}  // namespace

JsonLines JsonLines::create(const std::filesystem::path& path) {
  return {path, open_for_appending(path, O_TRUNC)};
}

JsonLines JsonLines::resume(const std::filesystem::path& path, int64_t step) {
  JsonLines lines(path, open_for_appending(path, 0));
  const std::string text = read_all(lines.file_, path);
  const Kept kept = lines_before(text, step);
  if (retried([&] { return ::ftruncate(lines.file_, static_cast<off_t>(kept.bytes)); }) != 0)
    fail(path, errno);
  lines.missing_ = step - kept.steps;
  lines.damaged_ = count_damaged(std::string_view(text).substr(kept.bytes), step);
  return lines;
}

JsonLines::JsonLines(JsonLines&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::exchange(other.file_, -1)),
      missing_(other.missing_),
      damaged_(other.damaged_) {}

JsonLines::~JsonLines() {
  if (file_ >= 0) ::close(file_);
}

void JsonLines::write(const ordered_json& object) {
  if (file_ < 0) return;
  const std::string line = object.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + '\n';
  std::string_view left = line;
  while (!left.empty()) {
    const ssize_t written = retried([&] { return ::write(file_, left.data(), left.size()); });
    if (written < 0) fail(path_, errno);
    left.remove_prefix(static_cast<size_t>(written));
  }
}

void JsonLines::sync() {
  if (file_ >= 0 && retried([&] { return ::fsync(file_); }) != 0 && errno != EINVAL)
    fail(path_, errno);  // EINVAL: it is not on a disk
}

}  // namespace rcnn
