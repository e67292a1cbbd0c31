// Files that are either written whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>

namespace rcnn {

/// Whether a write waits until the disk has it. Pictures and annotations come by the hundred and can be made
/// again: they need not wait.
enum class Sync { no, yes };

/// Where `write_atomically` collects a file's bytes. Writes are not buffered: hand over large pieces.
class FileWriter {
 public:
  /// Appends the bytes. Throws Error naming the file, the bytes that were asked for and the system's reason.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  /// Bytes written so far.
  uint64_t size() const { return size_; }

 private:
  friend void write_atomically(const std::filesystem::path& path,
                               const std::function<void(FileWriter&)>& body, Sync sync);
  FileWriter(const std::filesystem::path& path, int file) : path_(path), file_(file) {}

  const std::filesystem::path& path_;  // the file in the user's words: named in errors
  int file_;
  uint64_t size_ = 0;
};

/// Replaces `path` by what `body` writes: into a temporary file in the same folder, which is brought to the
/// disk (fsync, unless `sync` says no) and renamed, and the folder with it. Whoever looks sees the old file
/// or the new one, also after the power failed. A symbolic link stays one; its target is replaced.
///
/// Throws Error naming the file when it cannot be written (a full disk included), and lets through what
/// `body` throws; the temporary is then removed and the old file is untouched. Killed in between, the process
/// leaves a file `<name>.tmp-<pid>-<n>` behind, which is never read.
void write_atomically(const std::filesystem::path& path, const std::function<void(FileWriter&)>& body,
                      Sync sync = Sync::yes);

/// The same for content that is at hand.
void write_atomically(const std::filesystem::path& path, std::string_view content, Sync sync = Sync::yes);

}  // namespace rcnn
