// What a run's training data were when it began, so that a resumed run notices when they have changed.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace rcnn {

/// One line for each image: digests of the image and of its annotations, and its id. The image's is that of
/// its size in bytes and of its first and last 4 KiB, so that a large dataset need not be read twice.
struct Fingerprint {
  std::string text;
  std::string sha256() const;
};

/// Throws InputError naming an image that cannot be read.
Fingerprint fingerprint_of(const Dataset& dataset);

/// The file in a run's folder that keeps the text.
std::filesystem::path fingerprint_file(const std::filesystem::path& out);

/// Sentences about what differs, with the first images of each kind: removed, added, changed, annotated in
/// another way, or in another order. Empty if nothing differs.
std::vector<std::string> differences(const std::string& before, const std::string& now);

}  // namespace rcnn
