// Files with the same bytes: photographs that a dataset has twice, under two names.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

namespace rcnn {

/// Groups of two or more files with the same bytes, as positions in `files`, each group in their order. Files
/// that cannot be read are in none. Only files whose size occurs twice are read, and more than their first
/// 64 KiB only if these are the same.
std::vector<std::vector<size_t>> find_equal_files(std::span<const std::filesystem::path> files);

}  // namespace rcnn
