// One run at a time in a folder.
#pragma once

#include <filesystem>
#include <utility>

namespace rcnn {

/// Holds a lock on `run.lock` in a folder while it lives. The file stays; it also says that the folder is
/// that of a run. The system drops the lock when the process ends, however it ends, so an old file is no
/// obstacle.
class FolderLock {
 public:
  /// Creates and locks the file. Throws InputError that names the other process if the folder is locked,
  /// Error if the file cannot be created. Where the file system has no locks, the folder counts as locked by
  /// this process.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(FolderLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  FolderLock& operator=(FolderLock&&) = delete;

  static std::filesystem::path file_in(const std::filesystem::path& folder) { return folder / "run.lock"; }

 private:
  int file_;
};

}  // namespace rcnn
