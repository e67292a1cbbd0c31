// A file from which bytes are read at known positions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

namespace rcnn {

/// Every function throws InputError naming the file if it cannot be read.
class SourceFile {
 public:
  explicit SourceFile(const std::filesystem::path& path);

  const std::string& name() const { return name_; }
  uint64_t size() const { return size_; }
  void read(uint64_t position, void* to, size_t bytes) const;

 private:
  std::string name_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  uint64_t size_ = 0;
};

}  // namespace rcnn
