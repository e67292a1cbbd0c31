// Whole files in and out, with errors that name the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <vector>

namespace rcnn {

/// The first `limit` bytes of a file, by default all of them. Throws InputError where the file is missing, is
/// no regular file, or cannot be read.
std::vector<uint8_t> read_file(const std::filesystem::path& path,
                               size_t limit = std::numeric_limits<size_t>::max());

/// Writes the file through a temporary one beside it and a rename, so that nobody ever sees half of it and an
/// older file survives a failure. Throws Error where that fails, a full disk included. Unlike
/// `write_atomically` it does not wait for the disk: pictures and annotations come by the hundred and can be
/// made again.
void write_file(const std::filesystem::path& path, std::span<const uint8_t> bytes);

}  // namespace rcnn
