// Reads whole files, with errors that name the file. For writing, see core/files/atomic_file.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace rcnn {

/// The first `limit` bytes of a file, by default all of them. `whole`, if given, gets the size of the file.
/// Throws InputError if the file is missing, is not a regular file, or cannot be read.
std::vector<uint8_t> read_file(const std::filesystem::path& path,
                               size_t limit = std::numeric_limits<size_t>::max(), uint64_t* whole = nullptr);

/// The text without spaces, tabs and line ends at both ends.
std::string_view trim(std::string_view text);

/// The lines of a text file, trimmed and without the empty ones. Line ends may be those of Windows, and the
/// byte order mark that some editors write is not part of the first line. Throws as `read_file` does.
std::vector<std::string> read_lines(const std::filesystem::path& path);

/// The same with the blank lines, except those at the end: for files in which the number of a line matters.
std::vector<std::string> read_numbered_lines(const std::filesystem::path& path);

/// Calls `visit` with each file at any depth until it returns false. Hidden files and folders are left out,
/// and those that macOS adds to archives. Throws InputError if a folder cannot be listed.
void walk_files(const std::filesystem::path& root,
                const std::function<bool(const std::filesystem::path&)>& visit);

}  // namespace rcnn
