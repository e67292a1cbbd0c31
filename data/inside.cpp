#include "data/inside.h"

#include <system_error>

namespace rcnn {

bool may_read(const std::filesystem::path& root, const std::filesystem::path& path,
              const ReadOptions& options) {
  if (path.native().find('\0') != std::string::npos) return false;
  if (options.allow_outside) return true;
  std::error_code failed;
  const auto whole = [&](const std::filesystem::path& part) {
    return std::filesystem::absolute(part.empty() ? "." : part, failed).lexically_normal();
  };
  const std::filesystem::path below = whole(path).lexically_relative(whole(root / ""));
  return !failed && !below.empty() && *below.begin() != "..";
}

const char* reason_not_to_read(const std::filesystem::path& path) {
  return path.native().find('\0') != std::string::npos
             ? "contains a NUL, which no path of a file does"
             : "lies outside of the folder of the data, where it is read with --allow-outside only";
}

}  // namespace rcnn
