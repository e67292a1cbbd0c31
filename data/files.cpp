#include "data/files.h"

#include <unistd.h>

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

/// Writes and closes; 0 or the errno of the first step that failed. Closing counts: a full disk may show only
/// then.
int write_and_close(File file, std::span<const uint8_t> bytes) {
  errno = 0;
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size();
  const int write_error = errno;
  const bool closed = std::fclose(file.release()) == 0;
  if (written && closed) return 0;
  const int error = written ? errno : write_error;
  return error != 0 ? error : EIO;
}

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
  check_input(read == bytes.size(), "{} cannot be read: {} of {} bytes came ({}).", path.string(), read,
              bytes.size(), std::strerror(errno));
  return bytes;
}

void write_file(const std::filesystem::path& path, std::span<const uint8_t> bytes) {
  std::error_code failed;
  const std::filesystem::file_status status = std::filesystem::status(path, failed);
  check(!std::filesystem::exists(status) || std::filesystem::is_regular_file(status),
        "{} cannot be written: it exists and is not a regular file.", path.string());

  std::filesystem::path temporary = path;
  temporary += fmt::format(".{}.tmp", ::getpid());
  File file(std::fopen(temporary.c_str(), "wb"));
  check(file != nullptr, "{} cannot be written: {}.", path.string(), std::strerror(errno));
  int error = write_and_close(std::move(file), bytes);
  if (error == 0 && std::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    std::filesystem::remove(temporary, failed);
    throw Error(fmt::format("{} cannot be written: {}.", path.string(), std::strerror(error)));
  }
}

}  // namespace rcnn
