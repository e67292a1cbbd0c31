#include "data/files.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <system_error>

#include "core/error.h"

namespace rcnn {
namespace {

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Closer>;

}  // namespace

std::vector<uint8_t> read_file(const std::filesystem::path& path, size_t limit) {
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path, ignored);
  check_input(std::filesystem::exists(status), "{} does not exist.", path.string());
  check_input(std::filesystem::is_regular_file(status), "{} is not a regular file.", path.string());

  const File file(std::fopen(path.c_str(), "rb"));
  check_input(file != nullptr, "{} cannot be opened: {}.", path.string(), std::strerror(errno));
  const uintmax_t size = std::filesystem::file_size(path, ignored);
  std::vector<uint8_t> bytes(ignored ? 0 : static_cast<size_t>(std::min<uintmax_t>(size, limit)));
  errno = 0;
  const size_t read = std::fread(bytes.data(), 1, bytes.size(), file.get());
  check_input(read == bytes.size(), "{} cannot be read: only {} of {} bytes were read ({}).", path.string(),
              read, bytes.size(), std::strerror(errno));
  return bytes;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::vector<std::string> read_numbered_lines(const std::filesystem::path& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(trim(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

std::vector<std::string> read_lines(const std::filesystem::path& path) {
  std::vector<std::string> lines = read_numbered_lines(path);
  std::erase(lines, "");
  return lines;
}

void walk_files(const std::filesystem::path& root,
                const std::function<bool(const std::filesystem::path&)>& visit) {
  namespace fs = std::filesystem;
  const auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator it(root, options), end; it != end; ++it) {
    const std::string name = it->path().filename().string();
    if (name.starts_with('.') || name == "__MACOSX") {
      if (it->is_directory()) it.disable_recursion_pending();
    } else if (it->is_regular_file() && !visit(it->path())) {
      return;
    }
  }
}

}  // namespace rcnn
