// Finds the images of a COCO file.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace rcnn {

/// The name with slashes: names that were written on Windows have backslashes.
std::string with_slashes(std::string name);

/// Replaces the file_names in `Sample::image` by paths: the image in `folder` (the one that find_coco_images
/// gives), or else one that is found by its name in the whole data set. Entries of one image become one
/// sample, with a fault; if they give the image different sizes, the first is kept. An image that is not
/// found, or lies where it may not be read (data/inside.h), is a fault, and its path is empty.
void find_coco_sample_images(const std::filesystem::path& file, const std::filesystem::path& folder,
                             const ReadOptions& options, std::vector<Sample>& samples,
                             std::vector<Fault>& faults);

}  // namespace rcnn
