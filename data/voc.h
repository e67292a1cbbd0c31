// Pascal VOC: JPEGImages/<id>.jpg, Annotations/<id>.xml and ImageSets/Main/<split>.txt with one id per line.
// For the content of the XML files, see data/annotation.h.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace rcnn {

/// Reads the split `ImageSets/Main/<split>.txt` or, if `split` is empty, all images that have an annotation,
/// which needs no lists. Images are <id>.jpg, .jpeg or .png in any case, or the file that the XML names; only
/// their headers are read. If `classes` is empty, the classes are the sorted names of the objects found in
/// this split.
///
/// `trainval` needs no list: if trainval.txt is missing, it is train.txt followed by those images of val.txt
/// (or valid.txt) that are not in train.txt. The second column of a line (1, -1 or 0 in the lists of single
/// classes) is ignored.
///
/// A fault of an image or an object becomes an entry of `Dataset::faults`, and reading continues:
///  - an object is skipped if it has no name or an unknown class, if a coordinate is missing or not a number,
///    or if its box is reversed, has zero area (xmin = xmax or ymin = ymax) or lies wholly outside the image;
///  - an object's box is clipped if it lies partly outside;
///  - boxes are turned with their image if they refer to the image before its EXIF orientation is applied;
///  - the size in the image file is used if the XML lacks it or disagrees; `options` may scale the boxes to
///  it;
///  - an image is skipped if it is listed twice, or if the image or the XML is missing or unreadable.
///
/// Throws InputError if the folder or one of its three parts is missing, if the list of the split is missing
/// or empty, or if no image, or no object from which to learn the names of the classes, is left.
Dataset read_voc(const std::filesystem::path& root, const std::string& split,
                 const std::vector<std::string>& classes = {}, const ReadOptions& options = {});

/// Writes an annotation that `read_voc` reads back, exactly for boxes at whole pixels that are at least two
/// pixels wide and high. Throws Error if the file cannot be written.
void write_voc_annotation(const std::filesystem::path& path, const Sample& sample,
                          const std::vector<std::string>& classes, const std::string& image_file_name);

}  // namespace rcnn
