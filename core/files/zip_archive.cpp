#include "core/files/zip_archive.h"

#include <zip.h>

#include <system_error>

#include "core/error.h"
#include "core/files/other_formats.h"
#include "core/files/tensor_file.h"

namespace rcnn {
namespace {

std::string zip_fault(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

}  // namespace

ZipArchive::ZipArchive(const std::filesystem::path& path)
    : name_(path.string()), archive_(nullptr, zip_discard) {
  std::error_code failed;
  check_input(std::filesystem::is_regular_file(path, failed), "{} is not a regular file.", name_);
  file_size_ = std::filesystem::file_size(path, failed);
  check_input(!failed, "{} cannot be read: {}.", name_, failed.message());
  int code = 0;
  archive_.reset(zip_open(path.c_str(), ZIP_RDONLY, &code));
  check_input(archive_ != nullptr, "{} cannot be read as a zip archive; it is truncated or damaged: {}.",
              name_, zip_fault(code));

  const auto count = static_cast<uint64_t>(zip_get_num_entries(archive_.get(), 0));
  check_input(count <= kMaxZipRecords, "{} has {} records; at most {} are read.", name_, count,
              kMaxZipRecords);
  uint64_t total = 0;
  for (uint64_t i = 0; i < count; ++i) {
    zip_stat_t about;
    zip_stat_init(&about);
    constexpr zip_uint64_t kWanted = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE |
                                     ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    check_input(zip_stat_index(archive_.get(), i, 0, &about) == 0 && (about.valid & kWanted) == kWanted,
                "{}: record {} has no name or size: {}.", name_, i, zip_strerror(archive_.get()));
    const std::string record = in_quotes(about.name);
    if (const std::string what = name_other_archive(about.name); !what.empty())
      throw InputError(fmt::format("{} {}.", name_, what));
    check_input(about.encryption_method == ZIP_EM_NONE, "{}: record {} is encrypted.", name_, record);
    check_input(
        about.comp_method == ZIP_CM_STORE && about.comp_size == about.size,
        "{}: record {} is compressed ({} bytes that expand to {}); PyTorch writes records uncompressed, and "
        "no others are read.",
        name_, record, about.comp_size, about.size);
    check_input(about.size <= file_size_ - total,
                "{}: its records up to {} have more bytes than the file, which has {}.", name_, record,
                file_size_);
    total += about.size;
    check_input(sizes_.emplace(about.name, about.size).second, "{}: two records are named {}.", name_,
                record);
  }
}

std::vector<std::byte> ZipArchive::read(const std::string& record) const {
  const auto found = sizes_.find(record);
  check_input(found != sizes_.end(), "{} has no record {}.", name_, in_quotes(record));
  const auto fail = [&](const char* fault) {
    throw InputError(fmt::format("{}: record {} cannot be read: {}.", name_, in_quotes(record), fault));
  };
  const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(
      zip_fopen(archive_.get(), record.c_str(), ZIP_FL_ENC_RAW), zip_fclose);
  if (!file) fail(zip_strerror(archive_.get()));
  std::vector<std::byte> bytes(found->second);
  for (size_t at = 0; at < bytes.size();) {
    const zip_int64_t count = zip_fread(file.get(), bytes.data() + at, bytes.size() - at);
    if (count < 0) fail(zip_file_strerror(file.get()));
    if (count == 0) fail("it ends too early");
    at += static_cast<size_t>(count);
  }
  std::byte beyond{};  // libzip compares the checksum at the end of a record
  if (zip_fread(file.get(), &beyond, 1) != 0) fail(zip_file_strerror(file.get()));
  return bytes;
}

}  // namespace rcnn
