// All splits of a data set, read together, so that they share one list of classes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/folder.h"

namespace rcnn {

/// One split of a dataset.
struct DataPart {
  std::string split;  // may be empty
  Dataset data;
};

/// Reads all splits with the classes of all of them: those of the first, then what the others add. VOC's
/// trainval is left out if there is train, because it repeats those images.
std::vector<DataPart> read_parts(const DataFolder& folder);

/// Whether two objects are one: the same class, and boxes that differ by at most .001 pixel.
bool is_same(const Object& a, const Object& b);

/// The splits as one dataset with their classes. An image that is in several splits is taken once; it keeps
/// the id that it has in the first. Faults are joined; COCO's numbers of images are dropped where they
/// repeat. Throws InputError if an image has other objects in another split.
Dataset pool_parts(std::span<const DataPart> parts);

/// For each file, the position of the first of them that has the same bytes: its own if none before it does.
/// Only files of equal sizes are read. Throws InputError naming a file that cannot be read.
std::vector<size_t> find_same_files(std::span<const std::filesystem::path> files);

}  // namespace rcnn
