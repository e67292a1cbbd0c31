// Which images and labels belong together in a YOLO dataset. Other code uses data/yolo.h.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace rcnn {

struct YoloImages {
  std::vector<std::filesystem::path> images;
  std::vector<std::string> missing;  // lines of a list that name no image
};

/// The images of a folder, at any depth and sorted, or those that a list names. A line is a path relative to
/// the list or to `root`, or ends with such a path. A path out of the list's folder and out of `root` is one
/// that names no image, unless it may be read (data/inside.h).
YoloImages yolo_images_of(const std::filesystem::path& place, const std::filesystem::path& root,
                          const ReadOptions& options = {});

/// The label of an image; empty if it has none.
std::filesystem::path find_yolo_label(const std::filesystem::path& image);

/// True if the first label below `root` with a line in it, of an image right in this folder, has the lines of
/// YOLO. Images without a label are passed by, but not very many.
bool has_yolo_labels(const std::filesystem::path& folder, const std::filesystem::path& root);

}  // namespace rcnn
