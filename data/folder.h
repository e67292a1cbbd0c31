// Labelled images in whatever of the usual layouts a folder has.
//
//   voc      JPEGImages/, Annotations/*.xml, ImageSets/Main/<split>.txt; without lists: one unnamed split
//   beside   <name>.xml beside <name>.jpg, at any depth: one unnamed split
//   coco     a JSON file of COCO's form, images in its folder or in the usual places around it: one split a
//   file splits   train/, valid/ (or val/), test/, each of the form `beside`, `voc` or `coco`
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

/// Reads a split; "" is all there is. "valid" and "val" are one. Classes as in `read_voc`: those given, else
/// those found. Throws InputError naming the splits there are.
Dataset read_split(const DataFolder& folder, const std::string& split,
                   const std::vector<std::string>& classes = {});

/// Cuts a dataset in two, about `share` of its images into the second. Which ones depends on the seed and the
/// samples' ids alone, and the parts keep the order.
std::pair<Dataset, Dataset> random_split(const Dataset& dataset, double share, uint64_t seed);

/// The samples of these ids, in their order. Throws InputError naming `list` for an id that the dataset
/// lacks.
Dataset take_samples(const Dataset& dataset, const std::vector<std::string>& ids,
                     const std::filesystem::path& list);
/// One id a line, as in ImageSets/Main.
std::vector<std::string> read_id_list(const std::filesystem::path& path);
void write_id_list(const std::filesystem::path& path, const Dataset& dataset);

}  // namespace rcnn
