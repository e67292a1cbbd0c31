#include "core/files/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/files/retry.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const char* step, int error) {
  throw Error(
      fmt::format("{} cannot be written: {} failed ({}).", path.string(), step, std::strerror(error)));
}

/// The file to replace: for a symbolic link its target, so that the link stays a link.
fs::path resolve(const fs::path& path) {
  std::error_code none;
  if (!fs::is_symlink(path, none)) return path;
  const fs::path target = fs::weakly_canonical(path, none);
  return none ? path : target;
}

/// Names of temporary files: this, the process, a hyphen and a number.
constexpr std::string_view kTemporaryName = ".rcnn-tmp-";

bool is_temporary_name(std::string_view name) {
  if (!name.starts_with(kTemporaryName)) return false;
  name.remove_prefix(kTemporaryName.size());
  const size_t hyphen = name.find_first_not_of("0123456789");
  return hyphen != 0 && hyphen != std::string_view::npos && name[hyphen] == '-' && hyphen + 1 < name.size() &&
         name.find_first_not_of("0123456789", hyphen + 1) == std::string_view::npos;
}

/// False, with the reason in errno, if the file cannot be synced to disk.
bool synced(int file) {
  return retried([&] { return ::fsync(file); }) == 0;
}

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

/// A temporary file of this process in the folder of `target`, removed at the end unless it was renamed to
/// `target`. It is locked while this object lives; `remove_left_temporaries` removes those that are not. Its
/// name does not contain that of the target, which may be as long as the file system allows.
class TemporaryFile {
 public:
  TemporaryFile(const fs::path& path, const fs::path& target) : path_(path), target_(target) {
    // O_EXCL and a counter: the name may be taken, by another thread or by a process that was killed.
    for (int n = 0;; ++n) {
      name_ = folder_of(target_) / fmt::format("{}{}-{}", kTemporaryName, ::getpid(), n);
      file_ = ::open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (file_ < 0 && errno != EEXIST && errno != EINTR) fail(path_, "creating a file in its folder", errno);
      if (file_ < 0) continue;
      // Another process may have removed the file before it was locked.
      struct stat status {};
      retried([&] { return ::flock(file_, LOCK_EX); });
      if (::fstat(file_, &status) != 0 || status.st_nlink > 0) return;
      ::close(file_);
    }
  }
  ~TemporaryFile() {
    if (file_ >= 0) ::close(file_);
    if (!renamed_) ::unlink(name_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  int file() const { return file_; }

  /// Gives the file the permissions of the one it replaces, if there is one.
  void keep_permissions() const {
    struct stat old {};
    if (::stat(target_.c_str(), &old) == 0 &&
        retried([&] { return ::fchmod(file_, old.st_mode & 07777); }) != 0)
      fail(path_, "setting its permissions", errno);
  }

  void commit(Sync sync) {
    if (sync == Sync::yes && !synced(file_)) fail(path_, "syncing it to disk", errno);
    // Some file systems report a full disk only here. After EINTR the file is closed all the same.
    if (::close(std::exchange(file_, -1)) != 0 && errno != EINTR) fail(path_, "closing it", errno);
    if (std::rename(name_.c_str(), target_.c_str()) != 0) fail(path_, "renaming its temporary file", errno);
    renamed_ = true;
    if (sync == Sync::yes) sync_folder();
  }

 private:
  /// The new name must reach the disk too. File systems that cannot sync a folder report EINVAL.
  void sync_folder() const {
    const int opened =
        retried([&] { return ::open(folder_of(target_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
    if (opened < 0) return;  // a folder may be writable but not readable
    const int error = synced(opened) ? 0 : errno;
    ::close(opened);
    if (error != 0 && error != EINVAL) fail(path_, "syncing its folder to disk", error);
  }

  const fs::path& path_;
  const fs::path& target_;
  fs::path name_;
  int file_ = -1;
  bool renamed_ = false;
};

}  // namespace

void FileWriter::write(std::span<const std::byte> bytes) {
  std::span<const std::byte> left = bytes;
  while (!left.empty()) {
    const ssize_t written = retried([&] { return ::write(file_, left.data(), left.size()); });
    if (written <= 0)
      throw Error(
          fmt::format("{} cannot be written: of the {} bytes after the first {}, {} are missing ({}).",
                      path_.string(), bytes.size(), size_ - (bytes.size() - left.size()), left.size(),
                      std::strerror(written < 0 ? errno : ENOSPC)));
    left = left.subspan(static_cast<size_t>(written));
    size_ += static_cast<uint64_t>(written);
  }
}

void write_atomically(const fs::path& path, const std::function<void(FileWriter&)>& body, Sync sync) {
  const fs::path target = resolve(path);
  std::error_code none;
  const fs::file_status status = fs::status(target, none);
  check(!fs::exists(status) || fs::is_regular_file(status),
        "{} cannot be written: it exists and is not a regular file.", path.string());

  TemporaryFile temporary(path, target);
  temporary.keep_permissions();
  FileWriter writer(path, temporary.file());
  body(writer);
  temporary.commit(sync);
}

void write_atomically(const fs::path& path, std::string_view content, Sync sync) {
  write_atomically(
      path, [&](FileWriter& writer) { writer.write(content); }, sync);
}

void remove_left_temporaries(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator entry = listed_folder(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (!is_temporary_name(entry->path().filename().native())) continue;
    const int file = retried(
        [&] { return ::open(entry->path().c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC); });
    if (file < 0) continue;
    struct stat status {};
    if (retried([&] { return ::flock(file, LOCK_EX | LOCK_NB); }) == 0 && ::fstat(file, &status) == 0 &&
        S_ISREG(status.st_mode))
      ::unlink(entry->path().c_str());
    ::close(file);
  }
}

}  // namespace rcnn
