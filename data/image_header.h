// What can be known about an image file without decoding it. Other code uses data/image.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace rcnn {

enum class ImageFormat { none, jpeg, png, bmp, webp, tiff };

/// The format that the first bytes of a file show.
ImageFormat image_format(std::span<const uint8_t> bytes);

struct ImageHeader {
  int64_t width = 0, height = 0;
  int orientation = 1;
  int components = 3;
  int adobe_transform = -1;  // of a JPEG: 0: CMYK, 2: YCCK, -1: there is no marker
};

/// The header of an image; nothing if the bytes end before it does. That of a WebP file with an EXIF entry
/// ends with the file, and that of a TIFF file, of which the first page counts, may lie anywhere in it.
std::optional<ImageHeader> parse_image_header(std::span<const uint8_t> bytes);

/// False if the file ends before the image does, as far as its markers, chunks or rows show. For a TIFF file,
/// its library must tell.
bool image_is_complete(std::span<const uint8_t> bytes);

// The same for two formats (data/riff_tiff_header.cpp), whose files begin with "RIFF....WEBP", and with "II"
// or "MM" and the number 42 or 43.
bool is_webp(std::span<const uint8_t> bytes);
bool is_tiff(std::span<const uint8_t> bytes);
std::optional<ImageHeader> webp_header(std::span<const uint8_t> bytes);
std::optional<ImageHeader> tiff_header(std::span<const uint8_t> bytes);
bool webp_is_complete(std::span<const uint8_t> bytes);

/// True for a JPEG whose scans hold all of its pixels if the last of them is whole: only the end marker is
/// missing.
bool jpeg_has_all_scans(std::span<const uint8_t> bytes);

/// The number of scans of a JPEG.
size_t count_jpeg_scans(std::span<const uint8_t> bytes);

/// False if a Huffman table of a JPEG claims more than 256 symbols, for which older versions of stb_image
/// write past the end of their arrays.
bool jpeg_tables_fit(std::span<const uint8_t> bytes);

}  // namespace rcnn
