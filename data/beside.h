// Folders in which the XML annotation of each image lies beside it, as labelling programs write them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace rcnn {

/// True if the folder holds an XML annotation at any depth. Hidden files and folders do not count, nor do
/// those that macOS adds to archives.
bool holds_annotations(const std::filesystem::path& root);

/// Reads all annotated images of a folder, at any depth, in the order of the paths of their annotations. An
/// id is the path of the image below `root` without extension. The image of an annotation lies beside it, or
/// in images/ or JPEGImages/ beside it or beside its folder; it has the annotation's name, or the one that
/// the XML gives. An annotation without objects gives an image without objects.
///
/// Faults and errors are those of `read_voc`. Images without an annotation are left out and counted in one
/// fault.
Dataset read_beside(const std::filesystem::path& root, const std::vector<std::string>& classes = {});

}  // namespace rcnn
