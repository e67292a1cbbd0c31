#include "data/equal_files.h"

#include <cstdint>
#include <limits>
#include <map>
#include <string>

#include "core/error.h"
#include "core/files/sha256.h"
#include "data/files.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// The digest of the first `limit` bytes of a file; empty if it cannot be read.
std::string digest_of(const fs::path& path, size_t limit) {
  try {
    const std::vector<uint8_t> bytes = read_file(path, limit);
    return sha256_hex(std::as_bytes(std::span(bytes)));
  } catch (const InputError&) {
    return {};
  }
}

/// The files of a group divided by the digests of their beginnings. Files that are alone are left out.
std::vector<std::vector<size_t>> divide(const std::vector<size_t>& group, std::span<const fs::path> files,
                                        size_t limit) {
  std::map<std::string, std::vector<size_t>> by_digest;
  for (const size_t i : group) by_digest[digest_of(files[i], limit)].push_back(i);
  std::vector<std::vector<size_t>> equal;
  for (auto& [digest, same] : by_digest)
    if (!digest.empty() && same.size() > 1) equal.push_back(std::move(same));
  return equal;
}

}  // namespace

std::vector<std::vector<size_t>> find_equal_files(std::span<const fs::path> files) {
  constexpr size_t kBeginning = size_t{1} << 16;
  std::map<uintmax_t, std::vector<size_t>> by_size;
  for (size_t i = 0; i < files.size(); ++i) {
    std::error_code error;
    const uintmax_t size = fs::file_size(files[i], error);
    if (!error) by_size[size].push_back(i);
  }
  std::vector<std::vector<size_t>> groups;
  for (const auto& [size, same_size] : by_size) {
    if (same_size.size() < 2) continue;
    for (std::vector<size_t>& group : divide(same_size, files, kBeginning)) {
      if (size <= kBeginning)
        groups.push_back(std::move(group));
      else
        for (std::vector<size_t>& equal : divide(group, files, std::numeric_limits<size_t>::max()))
          groups.push_back(std::move(equal));
    }
  }
  return groups;
}

}  // namespace rcnn
