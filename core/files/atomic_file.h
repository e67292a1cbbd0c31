// Files that are written either completely or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>

namespace rcnn {

/// Whether a write waits until the data is on the disk. Pictures and annotations, which are written by the
/// hundred and can be made again, need not wait.
enum class Sync { no, yes };

/// Takes the bytes of a file that `write_atomically` writes. It does not buffer them, so write large pieces.
class FileWriter {
 public:
  /// Appends the bytes. Throws Error naming the file, the number of bytes and the system's reason.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  /// Bytes written so far.
  uint64_t size() const { return size_; }

 private:
  friend void write_atomically(const std::filesystem::path& path,
                               const std::function<void(FileWriter&)>& body, Sync sync);
  FileWriter(const std::filesystem::path& path, int file) : path_(path), file_(file) {}

  const std::filesystem::path& path_;  // as the user named it, for error messages
  int file_;
  uint64_t size_ = 0;
};

/// Replaces `path` with what `body` writes. The bytes go to a temporary file in the same folder, which is
/// synced to disk and renamed, and then the folder is synced (`Sync::no` syncs neither). A reader sees either
/// the old file or the new one, even after a power failure. A symbolic link stays one; its target is
/// replaced.
///
/// Throws Error naming the file when it cannot be written (for example to a full disk), and passes on what
/// `body` throws; the temporary file is then removed and the old file is untouched. A process that is killed
/// in between leaves a file `.rcnn-tmp-<pid>-<n>`, which is never read; the next command that writes to the
/// folder removes it.
void write_atomically(const std::filesystem::path& path, const std::function<void(FileWriter&)>& body,
                      Sync sync = Sync::yes);

/// The same for content that is already in memory.
void write_atomically(const std::filesystem::path& path, std::string_view content, Sync sync = Sync::yes);

/// Removes the temporary files that killed processes have left in the folder: files of such a name that no
/// process has locked. Does nothing where files cannot be locked.
void remove_left_temporaries(const std::filesystem::path& folder);

}  // namespace rcnn
