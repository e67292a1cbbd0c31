// The header of a file is checked here before a library decodes the file: the decoders allocate what a header
// claims, guess how to read four-component JPEGs without Adobe's marker, ignore EXIF, and fill up a truncated
// JPEG or BMP with grey or black.
#include "data/image.h"

#include <stb/stb_image_write.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/files/output.h"
#include "data/codecs.h"
#include "data/files.h"
#include "data/image_header.h"
#include "data/orientation.h"

namespace rcnn {
namespace {

using Bytes = std::span<const uint8_t>;

// Enough for nearly every header; otherwise read_image_info reads more.
constexpr size_t kHeaderBytes = 65536;

void check_is_image(Bytes bytes, const std::string& name) {
  check_input(!bytes.empty(), "{} is empty; expected a JPEG, PNG, BMP, WebP or TIFF image.", name);
  const ImageFormat format = image_format(bytes);
  check_input(format != ImageFormat::none,
              "{} is not a JPEG, PNG, BMP, WebP or TIFF image: its first bytes are those of another format.",
              name);
  const FormatLibrary* library = library_for(format);
  check_input(!library || library->decode,
              "{} is a {} image, which this program was built without: install {} and build it again, or "
              "convert the image to JPEG or PNG.",
              name, library ? library->format_name : "", library ? library->package : "");
}

ImageLimits& chosen_limits() {
  static ImageLimits limits;
  return limits;
}

/// `bytes` is the size of the file.
ImageInfo checked_info(const std::optional<ImageHeader>& header, uint64_t bytes, const std::string& name,
                       const ImageLimits& limits) {
  check_input(header.has_value(), "{} is truncated: it ends before its header does.", name);
  check_input(header->width > 0 && header->height > 0, "{} has no pixels: its header says {} x {}.", name,
              header->width, header->height);
  check_input(
      header->width <= limits.max_side && header->height <= limits.max_side &&
          header->width * header->height <= limits.max_pixels,
      "{} is too large: its header says {} x {} pixels; at most {} per side and {} in total are read.", name,
      header->width, header->height, limits.max_side, limits.max_pixels);
  const int64_t of_bytes = limits.small_pixels + limits.pixels_per_byte * static_cast<int64_t>(bytes);
  check_input(header->width * header->height <= of_bytes,
              "{} is too large for its {} bytes: its header says {} x {} pixels; at most {} are read from so "
              "few, or as many as --max-megapixels says.",
              name, bytes, header->width, header->height, of_bytes);
  check_input(header->components != 4 || header->adobe_transform == 0 || header->adobe_transform == 2,
              "{} is a JPEG with four colours but without the Adobe marker that says which (CMYK or YCCK); "
              "convert it to RGB first.",
              name);
  const ImageSize stored{static_cast<int>(header->width), static_cast<int>(header->height)};
  return {turn_size(stored, header->orientation), stored, header->orientation};
}

/// Refuses a progressive JPEG that would take much longer to decode than its size suggests.
void check_scans(Bytes bytes, ImageSize size, const std::string& name, const ImageLimits& limits) {
  if (image_format(bytes) != ImageFormat::jpeg) return;
  const auto scans = static_cast<int64_t>(count_jpeg_scans(bytes));
  check_input(
      scans <= limits.few_scans || scans * size.width * size.height <= limits.max_scanned_pixels,
      "{} is a JPEG of {} scans of {} x {} pixels, which would take too long to decode; save it again "
      "with an image editor.",
      name, scans, size.width, size.height);
}

std::vector<uint8_t> decode(Bytes bytes, ImageSize size, const std::string& name) {
  switch (image_format(bytes)) {
    case ImageFormat::png:
      return over_white(stb_decode(bytes, size, 4, name));
    case ImageFormat::bmp:  // what some programs write as a fourth channel is not meant as transparency
      return stb_decode(bytes, size, 3, name);
    case ImageFormat::webp:
    case ImageFormat::tiff:
      return library_for(image_format(bytes))->decode(bytes, size, name);
    default:
      check_input(jpeg_tables_fit(bytes),
                  "{} is damaged: one of its Huffman tables has more than 256 symbols.", name);
      return jpeg_libraries().front().decode(bytes, size, name);
  }
}

/// A JPEG that lacks only its end marker is decoded. That needs a library that reports missing pixels.
std::vector<uint8_t> decode_without_end(std::vector<uint8_t> bytes, ImageSize size, const std::string& name) {
  const std::string sentence =
      fmt::format("{} is truncated: its {} bytes end before the image does.", name, bytes.size());
  check_input(jpeg_libraries().front().reports_missing_pixels && image_format(bytes) == ImageFormat::jpeg &&
                  jpeg_has_all_scans(bytes),
              "{}", sentence);
  bytes.insert(bytes.end(), {0xFF, 0xD9});
  try {
    return decode(bytes, size, name);
  } catch (const InputError&) {
    throw InputError(sentence);
  }
}

void check_can_encode(std::string_view function, const Image& image) {
  check(image.width > 0 && image.height > 0 &&
            image.rgb.size() ==
                size_t{3} * static_cast<size_t>(image.width) * static_cast<size_t>(image.height),
        "{}: an image of {} x {} pixels with {} bytes; expected 3 bytes per pixel.", function, image.width,
        image.height, image.rgb.size());
}

/// Writes the bytes with kWrittenHere between `before` and `after` at the position `at`.
void write_marked(const std::filesystem::path& path, std::vector<uint8_t> bytes, size_t at,
                  std::string_view before, std::string_view after = "") {
  std::string comment;
  for (const std::string_view part : {before, kWrittenHere, after}) comment += part;
  bytes.insert(bytes.begin() + static_cast<ptrdiff_t>(at), comment.begin(), comment.end());
  write_atomically(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, Sync::no);
}

}  // namespace

const ImageLimits& image_limits() { return chosen_limits(); }

void set_max_megapixels(int64_t megapixels) {
  ImageLimits& limits = chosen_limits();
  limits.max_pixels = limits.small_pixels = megapixels * 1'000'000;
  limits.max_scanned_pixels = std::max(limits.max_scanned_pixels, limits.few_scans * limits.max_pixels);
}

Image read_image(const std::filesystem::path& path, const ImageLimits& limits) {
  const std::string name = path.string();
  const std::vector<uint8_t> bytes = read_file(path);
  check_is_image(bytes, name);
  const ImageInfo info = checked_info(parse_image_header(bytes), bytes.size(), name, limits);
  check_scans(bytes, info.stored, name, limits);
  Image image;
  image.width = info.stored.width;
  image.height = info.stored.height;
  image.rgb = image_is_complete(bytes) ? decode(bytes, info.stored, name)
                                       : decode_without_end(bytes, info.stored, name);
  return info.orientation == 1 ? image : turn_image(image, info.orientation);
}

ImageInfo read_image_info(const std::filesystem::path& path, const ImageLimits& limits) {
  uint64_t whole = 0;
  std::vector<uint8_t> bytes = read_file(path, kHeaderBytes, &whole);
  check_is_image(bytes, path.string());
  std::optional<ImageHeader> header = parse_image_header(bytes);
  if (!header && bytes.size() == kHeaderBytes) {  // a large thumbnail or colour profile comes first
    bytes = read_file(path);
    header = parse_image_header(bytes);
  }
  return checked_info(header, whole, path.string(), limits);
}

ImageSize read_image_size(const std::filesystem::path& path, const ImageLimits& limits) {
  return read_image_info(path, limits).seen;
}

std::vector<uint8_t> encode_png(const Image& image) {
  check_can_encode("encode_png", image);
  std::vector<uint8_t> png;
  const auto append = [](void* to, void* data, int size) {
    const auto* from = static_cast<const uint8_t*>(data);
    auto* out = static_cast<std::vector<uint8_t>*>(to);
    out->insert(out->end(), from, from + size);
  };
  const int done =
      stbi_write_png_to_func(append, &png, image.width, image.height, 3, image.rgb.data(), 3 * image.width);
  check(done != 0 && !png.empty(), "encode_png: an image of {} x {} pixels could not be encoded.",
        image.width, image.height);
  return png;
}

std::vector<uint8_t> encode_jpeg(const Image& image, int quality) {
  check_can_encode("encode_jpeg", image);
  return jpeg_libraries().front().encode(image, quality);
}

void write_png(const std::filesystem::path& path, const Image& image) {
  // A chunk of text after the signature and the first chunk: length, type, keyword, and after the text the
  // chunk's CRC-32.
  using namespace std::string_view_literals;
  static_assert(kWrittenHere == "written by rcnn.cu");
  write_marked(path, encode_png(image), 8 + 25, "\0\0\0\x1atEXtComment\0"sv, "\x8a\xd3\xc3\xac"sv);
}

void write_jpeg(const std::filesystem::path& path, const Image& image) {
  // A comment after the start marker and the JFIF segment, which decoders expect there.
  using namespace std::string_view_literals;
  const std::vector<uint8_t> jpeg = encode_jpeg(image);
  const bool jfif = jpeg.size() > 5 && jpeg[2] == 0xff && jpeg[3] == 0xe0;
  const size_t at = 2 + (jfif ? 2 + size_t{jpeg[4]} * 256 + jpeg[5] : 0);
  write_marked(path, jpeg, at, "\xff\xfe\0\x14"sv);
}

std::string jpeg_library() { return jpeg_libraries().front().name; }

std::string format_library_list() {
  std::string list;
  for (const FormatLibrary& library : format_libraries())
    list += (list.empty() ? "" : ", ") +
            (library.decode ? library.name : fmt::format("no {}", library.format_name));
  return list;
}

}  // namespace rcnn
