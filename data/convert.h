// Writes labelled images in another form: Pascal VOC, COCO or YOLO.
//
// All three hold the same images, splits and boxes, and reading them gives these boxes back. What a form has
// no place for is left out and counted:
//
//   VOC    the order of the classes; that an object is a crowd (it becomes `difficult`); boxes of no more
//   than
//          one pixel, because VOC counts pixels and its readers take such a box for an empty one
//   YOLO   crowds and difficult objects, which are left out, as Ultralytics' own converters do; a dataset
//          without splits, which becomes the split `train`
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "data/folder.h"

namespace rcnn {

enum class DataForm { voc, coco, yolo };

struct ConvertOptions {
  DataForm form = DataForm::coco;
  bool link = false;  // images are hard links where the file system allows it, otherwise copies
};

/// One split of a dataset.
struct DataPart {
  std::string split;  // may be empty
  Dataset data;
};

struct Converted {
  std::vector<DataPart> parts;  // as they were read, without what was left out
  size_t crowds = 0;            // that became difficult objects
  size_t ignored_left_out = 0;  // crowds and difficult objects
  size_t small_left_out = 0;    // boxes of no more than one pixel
  size_t renamed = 0;           // images whose names another image has, or no list can hold
};

/// Writes all splits into the folder `out`, which must not exist or be empty, and reads the result back to
/// compare it. The classes are those of all splits, the first split's first. Until all is written, the files
/// lie in `<out>.part`, which is removed after an error.
///
/// Throws InputError if `out` holds something or lies in the folder of the data, and Error if something
/// cannot be written or is not the same when it is read back.
Converted convert_data(const DataFolder& folder, const std::filesystem::path& out,
                       const ConvertOptions& options);

}  // namespace rcnn
