// Folders in which the XML annotation of each image lies beside it, as labelling programs write them.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace rcnn {

/// True if the folder holds an XML annotation at any depth, outside of the folder `except`. Hidden files and
/// folders do not count, nor do those that macOS adds to archives.
bool holds_annotations(const std::filesystem::path& root, const std::filesystem::path& except = {});

/// True if the folder holds an image at any depth.
bool holds_images(const std::filesystem::path& root);

/// The lists train.txt, val.txt and test.txt, by split, that divide the images of such a folder: in the
/// folder, in ImageSets/ or in ImageSets/Main/, in any case. A list that names no annotated image is ignored;
/// `notes` gets a sentence about it.
std::map<std::string, std::filesystem::path> find_lists_beside(const std::filesystem::path& root,
                                                               std::vector<std::string>& notes);

/// A sentence about the annotations that none of the lists names, with their number and the first of them;
/// empty if there are none, or no lists.
std::string note_unlisted_beside(const std::filesystem::path& root,
                                 const std::map<std::string, std::filesystem::path>& lists);

/// The splits of which the folders of the annotations speak, such as train_annotations/ and
/// annotations/test/; none if there are fewer than two. `notes` gets a sentence about annotations that are
/// then in no split.
std::vector<std::string> find_split_folders_beside(const std::filesystem::path& root,
                                                   std::vector<std::string>& notes);

/// Reads all annotated images of a folder, at any depth, in the order of the paths of their annotations. An
/// id is the path of the image below `root` without extension. The image of an annotation lies beside it, or
/// in images/ or JPEGImages/ beside it or beside its folder; it has the annotation's name, or the one that
/// the XML gives. An annotation without objects gives an image without objects. With a `list`, the images are
/// those that it names, by the end of their paths, with or without extension; a line that fits no image, or
/// several, is a fault. With a `split`, they are those whose annotations' folders speak of it. An image that
/// is nowhere near its annotation is looked for by its name (data/image_index.h).
///
/// Faults and errors are those of `read_voc`. Images without an annotation are left out and counted in one
/// fault.
Dataset read_beside(const std::filesystem::path& root, const std::vector<std::string>& classes = {},
                    const std::filesystem::path& list = {}, const ReadOptions& options = {},
                    const std::string& split = {});

}  // namespace rcnn
