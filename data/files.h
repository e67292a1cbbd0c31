// Whole files, with errors that name the file. Writing is core/atomic_file.h's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <vector>

namespace rcnn {

/// The first `limit` bytes of a file, by default all of them. Throws InputError where the file is missing, is
/// no regular file, or cannot be read.
std::vector<uint8_t> read_file(const std::filesystem::path& path,
                               size_t limit = std::numeric_limits<size_t>::max());

}  // namespace rcnn
