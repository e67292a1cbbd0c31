// Images that were resized after they were labelled, without their annotations.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"

namespace rcnn {

/// The size that an annotation gives for an image, 0 x 0 if it gives none, and the size that the image has in
/// the frame of the annotation: before or after it is turned by its EXIF orientation.
struct SizePair {
  ImageSize said, found;
};

/// What a box must be multiplied by to fit the image.
struct BoxScale {
  float x = 1, y = 1;
  Box operator()(const Box& box) const { return {box.x1 * x, box.y1 * y, box.x2 * x, box.y2 * y}; }
};

/// Whether the sizes fit if the width and the height that are said are exchanged, and only then: a mistake of
/// the program that wrote them.
bool are_exchanged(const SizePair& sizes);

/// The scale from the size that is said, with its width and height in the order that fits, to the one that is
/// found; 1 if none is said.
BoxScale box_scale(const SizePair& sizes);

/// The factor by which all of at least three images differ from the sizes that their annotations give, to
/// within one pixel; nothing if there is no such factor.
std::optional<double> common_factor(std::span<const SizePair> images);

/// What is wrong with sizes that differ, to be completed to a sentence with "gives " or "is given ", and the
/// kind of that fault or note. `rescaled`: the boxes are scaled.
std::pair<std::string, FaultKind> size_fault(const SizePair& sizes, bool rescaled);

/// The entry in a dataset's faults for images with a common factor. `what` names them: "the images of the
/// split 'train'".
Fault common_factor_fault(const std::filesystem::path& root, const std::string& what, double factor,
                          bool rescaled);

}  // namespace rcnn
