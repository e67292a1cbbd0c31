// Boxes given as shares of their image in a file where they should be in pixels.
#pragma once

#include <cstddef>
#include <string>

#include "core/box.h"
#include "data/image.h"

namespace rcnn {

/// Watches the boxes of a file of which every form has pixels.
class NormalisedBoxes {
 public:
  /// A box as the file has it. `image` is 0 x 0 if its size is not known.
  void add(const Box& box, ImageSize image);

  /// Throws InputError, in which `file` is named, if all boxes lie in the first pixel of their images and not
  /// all their coordinates are whole: they are shares of the width and height, and would all be lost.
  void check(const std::string& file) const;

 private:
  size_t boxes_ = 0, in_first_pixel_ = 0, fractional_ = 0;
};

}  // namespace rcnn
