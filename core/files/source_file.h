// A file from which bytes are read at known positions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace rcnn {

/// Every function throws InputError naming the file if it cannot be read. A read that a signal interrupts is
/// repeated.
class SourceFile {
 public:
  explicit SourceFile(const std::filesystem::path& path);
  ~SourceFile();
  SourceFile(const SourceFile&) = delete;
  SourceFile& operator=(const SourceFile&) = delete;

  const std::string& name() const { return name_; }
  uint64_t size() const { return size_; }
  /// Throws also if the file ends before these bytes do.
  void read(uint64_t position, void* to, size_t bytes) const;
  /// The number of bytes that were read: fewer than `bytes` at the end of the file.
  size_t read_up_to(uint64_t position, void* to, size_t bytes) const;

 private:
  std::string name_;
  int file_ = -1;
  uint64_t size_ = 0;
};

/// The whole content of a small file. Throws as SourceFile does.
std::string text_of_file(const std::filesystem::path& path);

}  // namespace rcnn
