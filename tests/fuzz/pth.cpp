// The checksums of a zip archive keep a fuzzer from reaching the pickle of a .pth file. Therefore an input
// that is not a zip archive is used as the pickle of one, together with a few storages.
#include "core/files/pth.h"

#include <zip.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/targets.h"

namespace {

/// The bytes of a zip archive with these records, (name, content), stored without compression.
std::vector<std::byte> zip_of(const std::vector<std::pair<std::string, std::string>>& records) {
  zip_source_t* bytes = zip_source_buffer_create(nullptr, 0, 0, nullptr);
  zip_source_keep(bytes);  // closing the archive frees it once
  zip_t* archive = zip_open_from_source(bytes, ZIP_TRUNCATE, nullptr);
  rcnn::check(archive != nullptr, "an archive in memory cannot be created");
  for (const auto& [name, content] : records) {
    zip_source_t* source = zip_source_buffer(archive, content.data(), content.size(), 0);
    const zip_int64_t place = zip_file_add(archive, name.c_str(), source, 0);
    zip_set_file_compression(archive, static_cast<zip_uint64_t>(place), ZIP_CM_STORE, 0);
  }
  rcnn::check(zip_close(archive) == 0 && zip_source_open(bytes) == 0,
              "an archive in memory cannot be written");
  zip_source_seek(bytes, 0, SEEK_END);
  std::vector<std::byte> result(static_cast<size_t>(zip_source_tell(bytes)));
  zip_source_seek(bytes, 0, SEEK_SET);
  zip_source_read(bytes, result.data(), result.size());
  zip_source_close(bytes);
  zip_source_free(bytes);
  return result;
}

}  // namespace

void rcnn::fuzz::pth(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  if (bytes.starts_with("PK")) {
    read_pth(file);
    return;
  }
  const MemoryFile whole(zip_of({{"archive/data.pkl", bytes},
                                 {"archive/data/0", std::string(24, '\1')},
                                 {"archive/data/1", std::string(8, '\2')},
                                 {"archive/data/2", ""}}));
  read_pth(whole.path());
}
