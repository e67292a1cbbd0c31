// Labelled images in whatever of the usual layouts a folder has.
//
//   voc      JPEGImages/, Annotations/*.xml, ImageSets/Main/<split>.txt; without lists: one unnamed split
//   splits   train/, valid/ (or val/), test/, each of one of the other forms
//   coco     a JSON file of COCO's form, images in its folder or in the usual places around it
//            (data/coco_places.h): one split a file
//   beside   <name>.xml beside <name>.jpg, at any depth (data/beside.h): one unnamed split
//
// Where several fit, the first in this order is taken; but `splits` without train/ gives way to annotations
// that lie right in the folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "data/dataset.h"

namespace rcnn {

/// What a folder holds, before any image is looked at.
struct DataFolder {
  std::filesystem::path root;
  std::string form;  // "voc", "beside", "coco" or "splits"
  std::vector<std::string>
      splits;  // "train", "val", "test", then others by name; empty: only the unnamed one

  bool has(const std::string& split) const;
};

/// Looks at a folder, or at a single COCO JSON file. Throws InputError that says what was found and which
/// layouts are known.
DataFolder find_data(const std::filesystem::path& path);

/// Reads a split; "" is all there is, of several splits with the classes of the first, and with the split's
/// name before each id. "valid" and "val" are one. VOC's "trainval" is train and val, also without a list of
/// its own. Classes as in `read_voc`: those given, else those found. Throws InputError naming the splits
/// there are.
Dataset read_split(const DataFolder& folder, const std::string& split,
                   const std::vector<std::string>& classes = {});

/// Cuts a dataset in two, round(`share` x images) into the second, but of two or more images at least one
/// into each. Which ones depends on the seed and the samples' ids, not on their order; but an image that is
/// the first part's last with objects of a class stays there if others can go. The parts keep the order and
/// the classes; the dataset's faults are in neither. Throws InputError for a share outside 0 to 1.
std::pair<Dataset, Dataset> random_split(const Dataset& dataset, double share, uint64_t seed);

/// The samples of these ids, in their order, without the dataset's faults. Throws InputError naming `list`
/// for an id that the dataset lacks.
Dataset take_samples(const Dataset& dataset, const std::vector<std::string>& ids,
                     const std::filesystem::path& list);

/// One id a line, as in ImageSets/Main. Throws InputError where the file cannot be read or lists nothing.
std::vector<std::string> read_id_list(const std::filesystem::path& path);

/// Throws Error where the file cannot be written.
void write_id_list(const std::filesystem::path& path, const Dataset& dataset);

}  // namespace rcnn
