#include "core/files/pth.h"

#include <memory>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/files/pth_old.h"
#include "core/files/pth_state_dict.h"
#include "core/files/tensor_file.h"
#include "core/files/zip_archive.h"

namespace rcnn {
namespace {

class ZipStorages : public PthStorages {
 public:
  /// `folder` is the prefix of the names of the archive's records.
  ZipStorages(const ZipArchive& archive, const std::string& folder) : archive_(archive), folder_(folder) {}

  std::optional<uint64_t> bytes_of(const std::string& key) const override {
    const auto found = archive_.records().find(record(key));
    return found == archive_.records().end() ? std::nullopt : std::optional(found->second);
  }
  std::vector<std::byte> read(const std::string& key) const override { return archive_.read(record(key)); }
  std::string place_of(const std::string& key) const override { return "record " + in_quotes(record(key)); }

 private:
  std::string record(const std::string& key) const { return folder_ + "data/" + key; }

  const ZipArchive& archive_;
  const std::string& folder_;
};

/// The prefix of the name of the archive's record "data.pkl".
std::string find_folder(const ZipArchive& archive) {
  constexpr std::string_view kPickle = "data.pkl";
  for (const auto& [name, size] : archive.records()) {
    const size_t slash = name.find('/');
    if (slash != std::string::npos && std::string_view(name).substr(slash + 1) == kPickle)
      return name.substr(0, slash + 1);
  }
  throw InputError(
      fmt::format("{} is a zip archive without a data.pkl; expected a file that PyTorch's torch.save wrote.",
                  archive.name()));
}

void check_byte_order(const ZipArchive& archive, const std::string& folder) {
  const std::string record = folder + "byteorder";
  const auto found = archive.records().find(record);
  if (found == archive.records().end()) return;
  const std::vector<std::byte> bytes = archive.read(record);
  const std::string_view order(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  check_input(order == "little", "{} has numbers in the byte order {}; expected \"little\".", archive.name(),
              in_quotes(order));
}

}  // namespace

SafetensorsFile read_pth(const std::filesystem::path& path) {
  if (is_old_pth(path)) return read_old_pth(path);
  const ZipArchive archive(path);
  const std::string folder = find_folder(archive);
  check_byte_order(archive, folder);
  const std::vector<std::byte> bytes = archive.read(folder + "data.pkl");
  const Pickle pickle = read_pickle(
      archive.name(), {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, pth_globals());
  return read_state_dict(archive.name(), archive.file_size(), pickle, ZipStorages(archive, folder));
}

}  // namespace rcnn
