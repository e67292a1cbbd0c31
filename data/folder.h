// Reads labelled images from a folder in any of the usual layouts.
//
//   voc      JPEGImages/, Annotations/*.xml, ImageSets/Main/<split>.txt; without lists: one unnamed split
//   splits   train/, valid/ (or val/), test/, each in one of the other layouts
//   coco     a COCO JSON file, with images in its folder or in the usual places around it
//            (data/coco_places.h): one split per file
//   yolo     data.yaml, images/ and labels/*.txt (data/yolo.h)
//   cvat, via, csv, open-images, labelme   the forms in data/label_forms.h
//   beside   <name>.xml beside <name>.jpg, at any depth (data/beside.h): one unnamed split, unless there are
//   lists
//            train.txt, val.txt or test.txt, or folders such as train_annotations/ and test_annotations/
//
// A folder that is none of these, or only the last, but holds a single data set of another layout further
// down, stands for that one: VOCdevkit for VOCdevkit/VOC2007. Several are an error: they may repeat images,
// and test images must not be trained on because their list was overlooked.
//
// If several layouts fit, the first in this order is taken, except that annotations directly in the folder
// take precedence over `splits` without train/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "data/dataset.h"

namespace rcnn {

/// What a folder holds. No image has been opened yet.
struct DataFolder {
  std::filesystem::path root;
  std::string form;  // one of the above
  /// "train", "val", "test", then the others by name; empty if there is only the unnamed split.
  std::vector<std::string> splits;
  std::vector<std::string> notes = {};  // sentences about what was ignored or chosen
  ReadOptions options = {};             // set by the caller, for read_split
  bool has(const std::string& split) const;
};

/// Determines the layout of a folder or of a single file: a COCO JSON, a data.yaml, or one
/// of the other forms that describe several images. Throws InputError, which says what was
/// found and which layouts are known.
DataFolder find_data(const std::filesystem::path& path);

/// Reads a split. "" reads everything: several splits get the classes of the first, and their names as
/// prefixes of the ids. "valid" and "val" are the same split. VOC's "trainval" is train and val, even without
/// a list. As in `read_voc`, the classes are those given or else those found. Throws InputError, which names
/// the existing splits.
Dataset read_split(const DataFolder& folder, const std::string& split,
                   const std::vector<std::string>& classes = {});

/// Splits a dataset in two: round(`share` x images) go to the second part, but with two or more images each
/// part gets at least one. The choice depends on the seed and the ids of the samples, not on their order. The
/// last image of the first part with objects of a class stays there if other images can go instead. Images
/// whose files have the same bytes go to the same part, which may then be smaller than `share` says, unless
/// all images are the same. The parts keep the order and the classes; neither has the dataset's faults.
/// Throws InputError for a share outside 0 to 1.
std::pair<Dataset, Dataset> random_split(const Dataset& dataset, double share, uint64_t seed);

/// The samples with these ids, in the order of the ids, without the dataset's faults. Throws InputError
/// naming `list` for an id that the dataset lacks.
Dataset take_samples(const Dataset& dataset, const std::vector<std::string>& ids,
                     const std::filesystem::path& list);

/// Reads a list with one id per line, as in ImageSets/Main. Throws InputError if the file cannot be read or
/// lists nothing.
std::vector<std::string> read_id_list(const std::filesystem::path& path);

/// Throws Error if the file cannot be written.
void write_id_list(const std::filesystem::path& path, const Dataset& dataset);

}  // namespace rcnn
