// Folders in which each image's XML annotation lies beside it, as labelling programs leave them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace rcnn {

/// True where the folder holds an XML annotation, at any depth. Hidden files and folders do not count, nor
/// those that macOS adds to archives.
bool holds_annotations(const std::filesystem::path& root);

/// Reads all annotated images of a folder, at any depth, in the order of their annotations' paths; an id is
/// the image's path below `root` without extension. An annotation's image lies beside it, or in images/ or
/// JPEGImages/ beside it or beside its folder; it has the annotation's name, or the one that the XML gives.
/// An annotation without objects makes a negative.
///
/// Faults and errors are those of `read_voc`; and images without an annotation are left out and counted in
/// one fault.
Dataset read_beside(const std::filesystem::path& root, const std::vector<std::string>& classes = {});

}  // namespace rcnn
