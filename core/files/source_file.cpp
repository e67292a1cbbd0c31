#include "core/files/source_file.h"

#include <sys/types.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "core/error.h"

namespace rcnn {

SourceFile::SourceFile(const std::filesystem::path& path)
    : name_(path.string()), file_(std::fopen(path.c_str(), "rb"), std::fclose) {
  check_input(file_ != nullptr, "{} cannot be read: {}.", name_, std::strerror(errno));
  std::error_code failed;
  check_input(std::filesystem::is_regular_file(path, failed), "{} is not a regular file.", name_);
  size_ = std::filesystem::file_size(path, failed);
  check_input(!failed, "{} cannot be read: {}.", name_, failed.message());
}

void SourceFile::read(uint64_t position, void* to, size_t bytes) const {
  errno = 0;
  const bool done = ::fseeko(file_.get(), static_cast<off_t>(position), SEEK_SET) == 0 &&
                    std::fread(to, 1, bytes, file_.get()) == bytes;
  check_input(done, "{} cannot be read: reading {} bytes at position {} failed ({}).", name_, bytes, position,
              errno != 0 ? std::strerror(errno) : "the file ended");
}

}  // namespace rcnn
