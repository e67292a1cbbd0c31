// The one EXIF entry that matters here, read through libexif.
#pragma once

#include <cstdint>
#include <span>

namespace rcnn {

/// The photograph's orientation, 1 to 8, from an EXIF block without its "Exif\0\0": a TIFF header and its
/// directories. 1 if the entry is missing, out of range or damaged. A thumbnail's orientation is ignored.
int exif_orientation(std::span<const uint8_t> tiff);

}  // namespace rcnn
