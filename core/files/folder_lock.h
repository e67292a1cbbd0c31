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
  /// Creates and locks the file. If the folder is locked, waits up to so many seconds for the other process,
  /// and says so once. Throws InputError that names the process if it holds the lock then, Error if the file
  /// cannot be created. Where the file system has no locks, the folder counts as locked by this process.
  explicit FolderLock(const std::filesystem::path& folder, double patience = 0);
  ~FolderLock();
  FolderLock(FolderLock&& other) noexcept
      : file_(std::exchange(other.file_, -1)), path_(std::move(other.path_)) {}
  FolderLock& operator=(FolderLock&&) = delete;

  /// Throws Error if `run.lock` is no longer the file that is locked: the folder was removed or renamed, and
  /// may belong to another run by now.
  void check_holds() const;

  static std::filesystem::path file_in(const std::filesystem::path& folder) { return folder / "run.lock"; }

 private:
  int file_;
  std::filesystem::path path_;  // absolute: of the file
};

}  // namespace rcnn
