// Pascal VOC: JPEGImages/<id>.jpg, Annotations/<id>.xml and ImageSets/Main/<split>.txt, one id a line.
// What an XML holds is data/annotation.h's.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace rcnn {

/// Reads the split `ImageSets/Main/<split>.txt`, or with `split` empty all images that have an annotation,
/// for which no lists are needed. Images are <id>.jpg, .jpeg or .png in any case, or what the XML names; only
/// their headers are read. With `classes` empty the classes are the sorted names of the objects found in this
/// split.
///
/// `trainval` needs no list of its own: where trainval.txt is absent it is train.txt followed by those of
/// val.txt (or valid.txt) that train.txt has not. A line's second column (1, -1 or 0 in the lists of one
/// class) is ignored.
///
/// What is wrong with an image or an object becomes an entry of `Dataset::faults`, and reading goes on:
///  - the object is skipped: no name or an unknown class, a coordinate missing or no number, a box reversed,
///  of zero
///    area (xmin = xmax or ymin = ymax) or wholly outside the image;
///  - the object is kept, clipped: its box is partly outside;
///  - boxes are turned with their image: they are those of the image before its EXIF orientation;
///  - the image's own size is used: the XML lacks it or disagrees;
///  - the image is skipped: listed twice, image or XML missing or unreadable.
///
/// Throws InputError where the folder or one of its three parts is missing, the split's list is missing or
/// empty, no image is left, or no object is left from which to learn the classes' names.
Dataset read_voc(const std::filesystem::path& root, const std::string& split,
                 const std::vector<std::string>& classes = {});

/// Writes the annotation that `read_voc` reads back, exactly for boxes at whole pixels that are at least two
/// pixels wide and high. Throws Error where the file cannot be written.
void write_voc_annotation(const std::filesystem::path& path, const Sample& sample,
                          const std::vector<std::string>& classes, const std::string& image_file_name);

}  // namespace rcnn
