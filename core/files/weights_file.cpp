#include "core/files/weights_file.h"

#include <fstream>
#include <string_view>
#include <system_error>

#include "core/error.h"
#include "core/files/pth.h"

namespace rcnn {

SafetensorsFile read_weights_file(const std::filesystem::path& path) {
  std::error_code failed;
  const std::filesystem::file_status status = std::filesystem::status(path, failed);
  check_input(std::filesystem::exists(status),
              "{} cannot be read: {}. docs/weights.md says where to find public weights to start from.",
              path.string(), failed.message());
  check_input(std::filesystem::is_regular_file(status), "{} is not a regular file.", path.string());
  char start[4] = {};
  std::ifstream(path, std::ios::binary).read(start, sizeof(start));
  const std::string_view bytes(start, sizeof(start));
  // Taken as the length of a safetensors header, each of these would exceed the maximum.
  const bool zip = bytes == std::string_view("PK\3\4", 4) || bytes == std::string_view("PK\5\6", 4);
  const bool old_pth = bytes == std::string_view("\x80\x02\x8A\x0A", 4);
  return zip || old_pth ? read_pth(path) : read_safetensors(path);
}

}  // namespace rcnn
