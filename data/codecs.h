// The libraries that decode and encode images. Other code uses data/image.h, which checks what the header of
// a file claims before one of these decodes it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/image.h"
#include "data/image_header.h"

namespace rcnn {

/// A library that reads and writes JPEG.
struct JpegLibrary {
  std::string name;  // with its version

  /// The RGB bytes of a JPEG file; CMYK and YCCK by the plain formula. `size` is the size that the file's
  /// header gives. Throws InputError naming `file` if the bytes are damaged or of an unsupported kind, or if
  /// the decoder finds another size.
  std::vector<uint8_t> (*decode)(std::span<const uint8_t> bytes, ImageSize size, const std::string& file);

  /// Whether `decode` refuses a file in which coded pixels are missing.
  bool reports_missing_pixels;

  /// The image as a JPEG file. `quality` is 1 to 100; above 90 colour keeps its full resolution.
  std::vector<uint8_t> (*encode)(const Image& image, int quality);
};

/// The JPEG libraries of this build. The first is the one that `read_image` and `encode_jpeg` use.
std::span<const JpegLibrary> jpeg_libraries();

/// A library that reads a format which a build may lack.
struct FormatLibrary {
  ImageFormat format;
  std::string_view format_name;  // "WebP"
  std::string_view package;      // Debian's, "libwebp-dev"
  std::string name;              // with its version; empty in a build without the library

  /// The RGB bytes of a file of this format, with transparency over white. Throws as `JpegLibrary::decode`
  /// does.
  std::vector<uint8_t> (*decode)(std::span<const uint8_t> bytes, ImageSize size, const std::string& file);
};

/// The libraries for WebP and TIFF, also those that this build lacks.
std::span<const FormatLibrary> format_libraries();

/// The library for the format; null if every build reads it.
const FormatLibrary* library_for(ImageFormat format);

/// RGB from RGBA over white.
std::vector<uint8_t> over_white(std::span<const uint8_t> rgba);

/// The bytes of a JPEG, PNG or BMP file decoded by stb_image to `channels` bytes per pixel, 3 (RGB) or 4
/// (RGBA). Throws as `JpegLibrary::decode` does.
std::vector<uint8_t> stb_decode(std::span<const uint8_t> bytes, ImageSize size, int channels,
                                const std::string& file);

// The functions of libjpeg-turbo, defined in builds that have it (`make LIBJPEG=1`).
std::vector<uint8_t> turbo_decode_jpeg(std::span<const uint8_t> bytes, ImageSize size,
                                       const std::string& file);
std::vector<uint8_t> turbo_encode_jpeg(const Image& image, int quality);
std::string turbo_version();

// Those of libwebp and libtiff, likewise (`make LIBWEBP=1 LIBTIFF=1`).
std::vector<uint8_t> webp_decode(std::span<const uint8_t> bytes, ImageSize size, const std::string& file);
std::string webp_version();
std::vector<uint8_t> tiff_decode(std::span<const uint8_t> bytes, ImageSize size, const std::string& file);
std::string tiff_version();

/// Throws the InputError for a decoder that finds another size than the header check did.
void check_decoded_size(ImageSize found, ImageSize expected, const std::string& file);

}  // namespace rcnn
