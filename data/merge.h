// Joins several data sets into one.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "data/parts.h"

namespace rcnn {

/// A data set to merge.
struct MergeSource {
  std::string name;  // for messages
  std::vector<DataPart> parts;
};

struct Merged {
  /// The splits under their names, "train", "val" and "test" first; in each the images of the first data set,
  /// then those of the second, and so on. They have the classes of all: those of the first data set, then
  /// what the others add. Categories keep COCO's numbers if no two data sets contradict each other.
  std::vector<DataPart> parts;
  size_t joined = 0;            // images that an earlier data set has, too, byte for byte
  size_t moved = 0;             // of these, images that the earlier data set has in another split
  size_t repeated_objects = 0;  // of these, objects that were there before: the same class and box
  /// Groups of classes that differ in capitals, spaces, - and _ only. They remain separate classes.
  std::vector<std::vector<std::string>> similar_classes;
};

/// Classes with the same name become one. An image that an earlier data set has, byte for byte, is written
/// once, in the split of the first, with the objects of both; images of one data set are never joined.
/// Images of data without splits go to the split `default_split`; if that is empty, either all data sets or
/// none must have splits, otherwise InputError is thrown.
Merged merge_parts(std::vector<MergeSource> sources, const std::string& default_split);

}  // namespace rcnn
