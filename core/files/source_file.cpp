#include "core/files/source_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "core/files/retry.h"

namespace rcnn {
SourceFile::SourceFile(const std::filesystem::path& path) : name_(path.string()) {
  // Opening a pipe that nothing writes to would wait for ever.
  file_ = retried([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  check_input(file_ >= 0, "{} cannot be read: {}.", name_, std::strerror(errno));
  struct stat status {};
  const bool regular = ::fstat(file_, &status) == 0 && S_ISREG(status.st_mode);
  if (!regular) ::close(std::exchange(file_, -1));
  check_input(regular, "{} is not a regular file.", name_);
  size_ = static_cast<uint64_t>(status.st_size);
}

SourceFile::~SourceFile() {
  if (file_ >= 0) ::close(file_);
}

size_t SourceFile::read_up_to(uint64_t position, void* to, size_t bytes) const {
  size_t done = 0;
  while (done < bytes) {
    const ssize_t read = retried([&] {
      return ::pread(file_, static_cast<char*>(to) + done, bytes - done, static_cast<off_t>(position + done));
    });
    check_input(read >= 0, "{} cannot be read: reading {} bytes at position {} failed ({}).", name_, bytes,
                position, std::strerror(errno));
    if (read == 0) break;
    done += static_cast<size_t>(read);
  }
  return done;
}

void SourceFile::read(uint64_t position, void* to, size_t bytes) const {
  check_input(read_up_to(position, to, bytes) == bytes,
              "{} cannot be read: reading {} bytes at position {} failed (the file ended).", name_, bytes,
              position);
}

std::string text_of_file(const std::filesystem::path& path) {
  const SourceFile file(path);
  std::string text(static_cast<size_t>(file.size()), '\0');
  text.resize(file.read_up_to(0, text.data(), text.size()));
  return text;
}

}  // namespace rcnn
