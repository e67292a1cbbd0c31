// Writes labelled images in another form: Pascal VOC, COCO or YOLO.
//
// All three hold the same images, splits and boxes, and reading them gives these boxes back. What a form has
// no place for is left out and counted:
//
//   VOC    the order of the classes, and those without an object; that an object is a crowd (it becomes
//          `difficult`); boxes of no more than one pixel, because VOC counts pixels and its readers take such
//          a box for an empty one
//   YOLO   crowds and difficult objects, which are left out, as Ultralytics' own converters do; a dataset
//          without splits, which becomes the split `train`
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/parts.h"

namespace rcnn {

enum class DataForm { voc, coco, yolo };

struct ConvertOptions {
  DataForm form = DataForm::coco;
  bool link = false;  // images are hard links where the file system allows it, otherwise copies
};

struct Converted {
  std::vector<DataPart> parts;                     // as they were read, without what was left out
  size_t crowds = 0;                               // that became difficult objects
  size_t ignored_left_out = 0;                     // crowds and difficult objects
  size_t small_left_out = 0;                       // boxes of no more than one pixel
  std::vector<std::string> classes_left_out = {};  // VOC has no list of classes: those without an object
  size_t renamed = 0;  // images whose names another image has, or no list can hold
};

/// The beginning of a name, of at most `bytes` bytes, without a part of a letter (UTF-8) at its end.
std::string cut_to(const std::string& text, size_t bytes);

/// Throws InputError if the folder `out` is one of the data or lies in it, and would become a part of it.
void check_outside(const std::filesystem::path& out, const DataFolder& folder);

/// Whether images in this folder belong to a data set, because labels or annotations lie beside it: images/
/// with labels/, JPEGImages/ with Annotations/, or a folder in one of these.
bool is_image_folder_of_data(const std::filesystem::path& folder);

/// Throws InputError unless `write_parts` may write the folder `out`: it does not exist or is empty,
/// `<out>.part` does not exist, and neither lies in the data.
void check_new_folder(const std::filesystem::path& out, std::span<const DataFolder> data);

/// Throws InputError if a split has a name, such as ../x, that cannot be that of a file or folder: a
/// data.yaml may say anything.
void check_split_names(std::span<const DataPart> parts);

/// Writes the splits, which have the same classes, into the folder `out`, for which `check_new_folder` holds,
/// and reads the result back to compare it. Until all is written, the files lie in `<out>.part`, which is
/// removed after an error.
///
/// Each image keeps its name, unless another one before it has that name, in any case and with any extension
/// (it becomes name_2, name_3, ...), or the name has characters that a list cannot hold (they become _).
///
/// Throws InputError, before anything is written, if a split has a name that the form cannot hold, if it
/// holds an image twice, or, for VOC, if an image has other objects in another split; and Error if something
/// cannot be written or is not the same when it is read back.
Converted write_parts(std::vector<DataPart> parts, const std::filesystem::path& out,
                      const ConvertOptions& options);

/// `read_parts` and `write_parts`, after `check_new_folder`.
Converted convert_data(const DataFolder& folder, const std::filesystem::path& out,
                       const ConvertOptions& options);

}  // namespace rcnn
