// Takes a part of a data set: some splits, some classes, objects of some size, images with objects.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "data/parts.h"

namespace rcnn {

struct FilterOptions {
  // Each entry is a name, or several separated by commas. A name with commas in it is one name: of the ways
  // to read an entry, the one with the longest names that the data has.
  std::vector<std::string> splits = {};        // to keep; empty: all
  std::vector<std::string> classes = {};       // to keep; empty: all
  std::vector<std::string> drop_classes = {};  // to leave out
  double min_side = 0;                         // pixels: the shorter side of an object's box is at least this
  double min_area = 0;                         // square pixels, of an object's box
  bool drop_ignored = false;                   // leave out crowds and difficult objects
  bool images_with_objects = false;            // leave out images of which no object is left
};

struct Filtered {
  std::vector<DataPart> parts;
  // What was left out, each object for the first of these reasons.
  size_t other_classes = 0, ignored = 0, small = 0;
  size_t images = 0;                 // of the splits kept
  std::vector<std::string> emptied;  // splits of which no image was left; they are left out
};

/// Keeps what fits all options, in the order in which it was. The classes that are left keep their order and
/// COCO's numbers. Throws InputError for a split or a class that the data lacks, and if no class or no image
/// is left.
Filtered filter_parts(std::vector<DataPart> parts, const FilterOptions& options);

}  // namespace rcnn
