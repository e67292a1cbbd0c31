#include "data/files.h"

#include <algorithm>

#include "core/error.h"
#include "core/files/look.h"
#include "core/files/source_file.h"

namespace rcnn {
std::vector<uint8_t> read_file(const std::filesystem::path& path, size_t limit, uint64_t* whole) {
  check_input(is_there(path), "{} does not exist.", path.string());
  const SourceFile file(path);
  if (whole) *whole = file.size();
  std::vector<uint8_t> bytes(static_cast<size_t>(std::min<uint64_t>(file.size(), limit)));
  file.read(0, bytes.data(), bytes.size());
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
  walk(root, [&](const std::filesystem::directory_entry& entry) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') || name == "__MACOSX") return Visit::pass_by;
    return is_file(entry) && !visit(entry.path()) ? Visit::stop : Visit::on;
  });
}

}  // namespace rcnn
