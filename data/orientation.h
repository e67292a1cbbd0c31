// The EXIF orientation: how an image is to be turned before it is looked at.
//
// A camera stores the pixels in the order of its sensor and notes how it was held. `stored` below is the
// image as the file has it, `seen` the image as it is meant to be seen, and as `read_image` gives it:
//
//   1  as stored               5  rows and columns exchanged
//   2  left and right          6  turned by 90 degrees clockwise
//   3  turned by 180 degrees   7  exchanged about the other diagonal
//   4  top and bottom          8  turned by 90 degrees counterclockwise
//
// Annotations come in either frame: some tools show the image as it is seen, others as it is stored.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"

namespace rcnn {

/// The size after turning.
ImageSize turn_size(ImageSize stored, int orientation);

/// The image as it is seen.
Image turn_image(const Image& stored, int orientation);

/// Where a box of the image as stored, of size `stored`, lies in the image as seen; exactly for coordinates
/// at whole pixels.
Box turn_box(const Box& box, int orientation, ImageSize stored);

/// An image and the size that its annotation gives it; 0 x 0 where it gives none.
struct SizeClaim {
  ImageInfo image;
  ImageSize said;
};

/// For each image of a dataset whether its boxes are those of the image as stored, so that they must be
/// turned with it.
///
/// An image of orientation 5 to 8 that is not square tells, by the size its annotation gives. The others
/// with an orientation go by the majority of those that tell. Where none tells, or as many for either, boxes
/// are turned where the size given is that of the image as stored.
std::vector<bool> find_boxes_to_turn(std::span<const SizeClaim> images);

/// The entry among a dataset's faults for boxes of `annotation` that were turned with `image`.
Fault turned_boxes_note(const std::filesystem::path& annotation, const std::filesystem::path& image,
                        const SizeClaim& claim);

}  // namespace rcnn
