// Writes datasets in each of the forms of data/convert.h, which other code uses.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/convert.h"

namespace rcnn {

/// The name that each image gets, by its path.
using ImageNames = std::map<std::filesystem::path, std::string>;

/// Copies or links a file. Throws Error with the system's reason if that fails.
void place_image(const std::filesystem::path& from, const std::filesystem::path& to, bool link);

/// JPEGImages/, Annotations/ and, for named splits, ImageSets/Main/.
void write_voc(const std::filesystem::path& root, const std::vector<DataPart>& parts, const ImageNames& names,
               bool link);

/// annotations/instances_<split>.json and images/<split>/; for a split that is not train, val or test,
/// annotations/<split>.json, and without splits, annotations/instances.json and images/.
void write_coco(const std::filesystem::path& root, const std::vector<DataPart>& parts,
                const ImageNames& names, bool link);

/// data.yaml, images/<split>/ and labels/<split>/.
void write_yolo(const std::filesystem::path& root, const std::vector<DataPart>& parts,
                const ImageNames& names, bool link);

}  // namespace rcnn
