// Zip archives of uncompressed records, read through libzip: the form in which PyTorch writes its files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct zip;

namespace rcnn {

/// The maximum number of records in an archive; a model of 1,000 tensors has about 1,000.
inline constexpr size_t kMaxZipRecords = 1 << 16;

/// An opened archive. Every function throws InputError, which names the file and the record.
class ZipArchive {
 public:
  /// Refuses a file that is not an archive or is damaged or is another program's, a record that is compressed
  /// (a few bytes could ask for any amount of memory) or encrypted, a name that occurs twice, and records
  /// that together are longer than the file.
  explicit ZipArchive(const std::filesystem::path& path);

  const std::string& name() const { return name_; }
  /// The size of the whole file in bytes.
  uint64_t file_size() const { return file_size_; }
  /// The size of each record in bytes, by its name.
  const std::map<std::string, uint64_t>& records() const { return sizes_; }
  /// The content of an existing record, whose checksum must be right.
  std::vector<std::byte> read(const std::string& record) const;

 private:
  std::string name_;
  std::unique_ptr<struct zip, void (*)(struct zip*)> archive_;
  uint64_t file_size_ = 0;
  std::map<std::string, uint64_t> sizes_;
};

}  // namespace rcnn
