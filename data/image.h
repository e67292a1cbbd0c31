// Images in memory, reading JPEG, PNG, BMP, WebP and TIFF files, and writing JPEG and PNG.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace rcnn {

/// An 8-bit RGB image: height x width x 3 bytes, row by row from the top left.
struct Image {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;

  Image() = default;
  /// A black image.
  Image(int w, int h)
      : width(w), height(h), rgb(size_t{3} * static_cast<size_t>(w) * static_cast<size_t>(h)) {}

  /// The three bytes of the pixel in column `x`, row `y`.
  uint8_t* pixel(int x, int y) { return rgb.data() + (static_cast<size_t>(y) * width + x) * 3; }
  const uint8_t* pixel(int x, int y) const { return rgb.data() + (static_cast<size_t>(y) * width + x) * 3; }
};

struct ImageSize {
  int width = 0, height = 0;
  bool operator==(const ImageSize&) const = default;
};

/// What the header of a file says.
struct ImageInfo {
  ImageSize seen;       // of the image that `read_image` returns
  ImageSize stored;     // before the image is turned
  int orientation = 1;  // EXIF's, 1 to 8 (data/orientation.h)
  bool operator==(const ImageInfo&) const = default;
};

/// The maximum size that the header of a file may claim, and the maximum work of decoding it. A header takes
/// a few bytes and can claim anything; a file of one colour decodes to hundreds of pixels per byte.
struct ImageLimits {
  int max_side = 32768;              // pixels
  int64_t max_pixels = 200'000'000;  // width x height; decoding takes up to 11 bytes per pixel
  /// An image may have `small_pixels` pixels, and this number for each byte of its file in addition.
  int64_t small_pixels = 25'000'000, pixels_per_byte = 20;
  /// Of a progressive JPEG. Each scan visits the pixels once more; encoders make about ten.
  int64_t few_scans = 20, max_scanned_pixels = 2'000'000'000;
};

/// The limits that apply where none are given. `--max-megapixels` changes them, before images are read: up to
/// that size the number of bytes then does not matter.
const ImageLimits& image_limits();
void set_max_megapixels(int64_t megapixels);

/// Decodes a JPEG, PNG, BMP, WebP or TIFF file, which is recognised by its first bytes and not by its name,
/// and turns the image by its EXIF orientation (in a PNG, that of an eXIf chunk before the pixels; in a TIFF,
/// the tag Orientation). Greyscale becomes RGB, as do CMYK and YCCK by the plain formula, without a colour
/// profile; 16 bits per channel become 8 (the high byte); a palette is looked up; transparency is blended
/// over white, except in a BMP, where it is ignored. Of a TIFF with several pages, the first is read.
///
/// JPEG is decoded by libjpeg-turbo, with the same bytes as in PIL, or in a build without it by stb_image,
/// which differs by a few steps per channel (`jpeg_library` says which).
///
/// Throws InputError naming the file if it is missing, empty, truncated (including a PNG without its end
/// chunk), damaged, of another format, of a format whose library the build lacks, an animation, over the
/// limits, or a JPEG with four colours but without the Adobe marker that says which. A JPEG that lacks only
/// its end marker is decoded by libjpeg-turbo. stb_image refuses it, because it does not notice all damage:
/// it fills up with grey what is missing inside a JPEG that has its end marker.
Image read_image(const std::filesystem::path& path, const ImageLimits& limits = image_limits());

/// Sizes and orientation from the header alone. Throws those errors of `read_image` that a header can show.
ImageInfo read_image_info(const std::filesystem::path& path, const ImageLimits& limits = image_limits());

/// The size of the image that `read_image` returns, from the header alone.
ImageSize read_image_size(const std::filesystem::path& path, const ImageLimits& limits = image_limits());

/// The image as the bytes of a PNG file.
std::vector<uint8_t> encode_png(const Image& image);

/// Of the JPEG files that this program writes. Above a quality of 90 colour keeps its full resolution, so
/// that thin coloured lines stay sharp.
constexpr int kJpegQuality = 92;

/// The image as the bytes of a JPEG file. Images of more than 65500 pixels per side cannot be encoded.
std::vector<uint8_t> encode_jpeg(const Image& image, int quality = kJpegQuality);

/// Write a file atomically (see `write_atomically`). Throw Error naming the file.
void write_png(const std::filesystem::path& path, const Image& image);
void write_jpeg(const std::filesystem::path& path, const Image& image);

/// The library that reads and writes JPEG, with its version: the pixels of a JPEG depend on it.
std::string jpeg_library();

/// The libraries that read WebP and TIFF, with their versions: "libwebp 1.2.4, no TIFF".
std::string format_library_list();

}  // namespace rcnn
