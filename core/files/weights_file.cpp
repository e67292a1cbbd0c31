#include "core/files/weights_file.h"

#include <string_view>
#include <system_error>

#include "core/error.h"
#include "core/files/other_formats.h"
#include "core/files/pth.h"
#include "core/files/pth_old.h"
#include "core/files/source_file.h"

namespace rcnn {
namespace {

/// Whether a header may follow the eight bytes of its length.
bool looks_like_safetensors(std::string_view start) { return start.size() > 8 && start[8] == '{'; }

}  // namespace

SafetensorsFile read_weights_file(const std::filesystem::path& path) {
  std::error_code failed;
  const std::filesystem::file_status status = std::filesystem::status(path, failed);
  check_input(std::filesystem::exists(status),
              "{} cannot be read: {}. docs/weights.md says where to find public weights to start from.",
              path.string(), failed.message());
  check_input(std::filesystem::is_regular_file(status), "{} is not a regular file.", path.string());
  char start[kFormatBytes] = {};
  const std::string_view bytes(start, SourceFile(path).read_up_to(0, start, sizeof(start)));
  if (bytes.starts_with("PK\3\4") || bytes.starts_with("PK\5\6") || is_old_pth(path)) return read_pth(path);
  if (!looks_like_safetensors(bytes))
    if (const std::string what = name_other_format(bytes, SourceFile(path).size()); !what.empty())
      throw InputError(fmt::format("{} {}.", path.string(), what));
  return read_safetensors(path);
}

}  // namespace rcnn
