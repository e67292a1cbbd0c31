#include "train/json_lines.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/error.h"

namespace rcnn {
namespace {

using nlohmann::ordered_json;

[[noreturn]] void fail(const std::filesystem::path& path, int error) {
  throw Error(fmt::format("{} cannot be written: {}.", path.string(), std::strerror(error)));
}

int open_for_appending(const std::filesystem::path& path, int flags) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0666);
  if (file < 0) fail(path, errno);
  return file;
}

/// Whether the line is a JSON object whose "step", if it has one, is at most `step`.
bool belongs_before(std::string_view line, int64_t step) {
  const ordered_json object = ordered_json::parse(line, nullptr, false);
  if (!object.is_object()) return false;
  const auto found = object.find("step");
  return found == object.end() || (found->is_number() && found->get<double>() <= static_cast<double>(step));
}

/// The number of bytes at the beginning of `text` that are complete lines of steps up to `step`.
size_t length_before(std::string_view text, int64_t step) {
  size_t kept = 0;
  for (size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n', kept)) {
    if (!belongs_before(text.substr(kept, end - kept), step)) break;
    kept = end + 1;
  }
  return kept;
}

}  // namespace

JsonLines JsonLines::create(const std::filesystem::path& path) {
  return {path, open_for_appending(path, O_TRUNC)};
}

JsonLines JsonLines::resume(const std::filesystem::path& path, int64_t step) {
  std::string text;
  if (std::ifstream file(path, std::ios::binary); file) text.assign(std::istreambuf_iterator<char>(file), {});
  JsonLines lines(path, open_for_appending(path, 0));
  if (::ftruncate(lines.file_, static_cast<off_t>(length_before(text, step))) != 0) fail(path, errno);
  return lines;
}

JsonLines::JsonLines(JsonLines&& other) noexcept
    : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)) {}

JsonLines::~JsonLines() {
  if (file_ >= 0) ::close(file_);
}

void JsonLines::write(const ordered_json& object) {
  const std::string line = object.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + '\n';
  std::string_view left = line;
  while (!left.empty()) {
    const ssize_t written = ::write(file_, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path_, errno);
    left.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace rcnn
