// The EXIF orientation: how an image must be turned before it is shown.
//
// A camera stores the pixels in the order of its sensor and records how it was held. Below, `stored` is the
// image as the file has it, and `seen` the image as it is meant to be seen, which `read_image` returns:
//
//   1  as stored               5  rows and columns exchanged
//   2  left and right          6  turned by 90 degrees clockwise
//   3  turned by 180 degrees   7  exchanged about the other diagonal
//   4  top and bottom          8  turned by 90 degrees counterclockwise
//
// Annotations may be in either frame: some tools show the image turned, others as it is stored.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"

namespace rcnn {

/// The size of the image after turning.
ImageSize turn_size(ImageSize stored, int orientation);

/// The orientation that turns an image back.
int inverse_orientation(int orientation);

/// The image as it is meant to be seen.
Image turn_image(const Image& stored, int orientation);

/// The box in the turned image for a box in the stored image, which has the size `stored`. Exact for
/// coordinates at whole pixels.
Box turn_box(const Box& box, int orientation, ImageSize stored);

/// An image and the size that its annotation gives; 0 x 0 if it gives none.
struct SizeClaim {
  ImageInfo image;
  ImageSize said;
};

/// "auto", "seen" or "stored", the values of the option --exif-boxes. Throws InputError for another word.
ExifBoxes parse_exif_boxes(const std::string& word);

struct BoxFrames {
  /// For each image of a dataset, whether its boxes refer to the stored image and must be turned with it.
  std::vector<bool> turned;
  /// The images of which no size tells the frame of their boxes, so that a default applies.
  std::vector<size_t> uncertain;
};

/// Decides the frames. Unless `option` does, the size in the annotation decides for an image with orientation
/// 5 to 8 that is not square. The other turned images follow the majority of these. If there are none, or as
/// many of either kind, the boxes are those of the image as it is seen, because the programs that people
/// label with today show it so.
BoxFrames find_box_frames(std::span<const SizeClaim> images, ExifBoxes option = ExifBoxes::automatic);

/// The note in a dataset's faults about `count` images whose frame is uncertain.
Fault uncertain_frames_note(const std::filesystem::path& root, size_t count,
                            const std::filesystem::path& first);

/// The note in a dataset's faults about boxes of `annotation` that were turned with `image`.
Fault turned_boxes_note(const std::filesystem::path& annotation, const std::filesystem::path& image,
                        const SizeClaim& claim, ExifBoxes option);

}  // namespace rcnn
