// Recognises files that are not weights this program reads, so that a message can say what they are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rcnn {

/// The number of bytes at the start of a file that `name_other_format` looks at.
inline constexpr size_t kFormatBytes = 512;

/// What the file that begins with `start` and has `size` bytes is, as the rest of a sentence, with what to do
/// about it: "is a web page (HTML), ...". Empty for a file that is not recognised.
std::string name_other_format(std::string_view start, uint64_t size);

/// The same for a zip archive that is not PyTorch's, by the name of one of its records.
std::string name_other_archive(std::string_view record);

}  // namespace rcnn
