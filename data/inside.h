// The rule for files that annotations name: they are read only from the folder of the data.
#pragma once

#include <filesystem>

#include "data/dataset.h"

namespace rcnn {

/// Whether the path, which annotations of the data in `root` give, may be read. Paths out of that folder
/// (absolute ones, or with "..") are only with `options.allow_outside`; a path with a NUL never is, because
/// the system would read another one. The path alone is judged: links inside the folder may lead anywhere.
bool may_read(const std::filesystem::path& root, const std::filesystem::path& path,
              const ReadOptions& options);

/// What a fault says of a path that may not be read: why.
const char* reason_not_to_read(const std::filesystem::path& path);

}  // namespace rcnn
