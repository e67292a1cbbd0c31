// The header of a file is checked here before a library decodes the file: the decoders allocate what a header
// claims, guess how to read four-component JPEGs without Adobe's marker, ignore EXIF, and fill up a truncated
// JPEG with grey.
#include "data/image.h"

#include <stb/stb_image_write.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/files/output.h"
#include "data/codecs.h"
#include "data/exif.h"
#include "data/files.h"
#include "data/orientation.h"

namespace rcnn {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr std::array<uint8_t, 3> kJpegStart = {0xFF, 0xD8, 0xFF};
constexpr std::array<uint8_t, 8> kPngStart = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
// Enough for nearly every header; otherwise read_image_info reads more.
constexpr size_t kHeaderBytes = 65536;
// The types of a PNG's chunks, as numbers.
constexpr uint32_t kIhdr = 0x49484452, kIdat = 0x49444154, kIend = 0x49454E44, kExifChunk = 0x65584966;
constexpr std::string_view kAdobe = "Adobe", kExif{"Exif\0\0", 6};

struct Header {
  int64_t width = 0, height = 0;
  int orientation = 1;
  int components = 3;
  int adobe_transform = -1;  // 0: CMYK, 2: YCCK, -1: there is no marker
};

template <class Start>
bool starts_with(Bytes bytes, const Start& start) {
  return bytes.size() >= start.size() && std::equal(start.begin(), start.end(), bytes.begin());
}

uint32_t big_endian16(Bytes bytes, size_t at) { return (uint32_t{bytes[at]} << 8) | bytes[at + 1]; }
uint32_t big_endian32(Bytes bytes, size_t at) {
  return (big_endian16(bytes, at) << 16) | big_endian16(bytes, at + 2);
}

/// Steps through the markers of a JPEG file (ITU-T T.81, annex B). A thumbnail inside an APPn segment is
/// skipped with its segment, so that its frame header and its end marker are not mistaken for those of the
/// photograph.
class JpegMarkers {
 public:
  explicit JpegMarkers(Bytes bytes) : bytes_(bytes) {}

  /// The code of the next marker; 0 at the end of the bytes.
  uint8_t next() {
    while (at_ + 1 < bytes_.size()) {
      const uint8_t code = bytes_[at_ + 1];
      // Skips entropy-coded data, padding and a stuffed 0xFF.
      if (bytes_[at_] != 0xFF || code == 0xFF || code == 0x00) {
        ++at_;
        continue;
      }
      segment_ = at_ + 2;
      at_ = segment_;
      const bool alone = code == 0x01 || (code >= 0xD0 && code <= 0xD9);
      if (!alone && segment_ + 2 <= bytes_.size()) at_ += big_endian16(bytes_, segment_);
      return code;
    }
    return 0;
  }

  /// Where the segment of the current marker starts, with its length.
  size_t segment() const { return segment_; }
  /// The content of the segment after its length, cut off at the end of the bytes.
  Bytes content() const {
    const size_t begin = std::min(segment_ + 2, bytes_.size()), end = std::min(at_, bytes_.size());
    return bytes_.subspan(begin, end > begin ? end - begin : 0);
  }

 private:
  Bytes bytes_;
  size_t at_ = 0, segment_ = 0;
};

bool is_frame_header(uint8_t code) {
  return code >= 0xC0 && code <= 0xCF && code != 0xC4 && code != 0xC8 && code != 0xCC;
}

std::optional<Header> jpeg_header(Bytes bytes) {
  JpegMarkers markers(bytes);
  Header header;
  Bytes exif;
  while (const uint8_t code = markers.next()) {
    const Bytes content = markers.content();
    if (code == 0xE1 && exif.empty() && starts_with(content, kExif)) exif = content.subspan(kExif.size());
    if (code == 0xEE && content.size() >= 12 && starts_with(content, kAdobe))
      header.adobe_transform = content[11];
    if (!is_frame_header(code) || content.size() < 6) continue;
    header.height = big_endian16(content, 1);
    header.width = big_endian16(content, 3);
    header.components = content[5];
    if (!exif.empty()) header.orientation = exif_orientation(exif);
    return header;
  }
  return std::nullopt;
}

/// Reads up to the first chunk of pixels.
std::optional<Header> png_header(Bytes bytes) {
  Header header;
  for (size_t at = kPngStart.size(); at + 8 <= bytes.size(); at += size_t{12} + big_endian32(bytes, at)) {
    const size_t length = big_endian32(bytes, at), left = bytes.size() - at - 8;
    const uint32_t type = big_endian32(bytes, at + 4);
    if (type == kIdat || type == kIend) return header;
    const Bytes content = bytes.subspan(at + 8, std::min(length, left));
    if (type == kIhdr && content.size() >= 8) {
      header.width = big_endian32(content, 0);
      header.height = big_endian32(content, 4);
    }
    if (type == kExifChunk && length <= left) header.orientation = exif_orientation(content);
  }
  return std::nullopt;
}

bool jpeg_is_complete(Bytes bytes) {
  JpegMarkers markers(bytes);
  while (const uint8_t code = markers.next())
    if (code == 0xD9) return true;
  return false;
}

/// False if a Huffman table claims more than 256 symbols, for which older versions of stb_image write past
/// the end of their arrays.
bool jpeg_tables_fit(Bytes bytes) {
  JpegMarkers markers(bytes);
  while (const uint8_t code = markers.next()) {
    if (code != 0xC4) continue;
    // Each table has its kind, the numbers of symbols of 16 lengths, and the symbols. Like stb_image, this
    // reads a table that starts inside the segment past the end of the segment, and reads zeros past the end
    // of the file.
    const size_t end = markers.segment() + 2 + markers.content().size();
    for (size_t at = markers.segment() + 2; at < end;) {
      const Bytes counts = bytes.subspan(at + 1, std::min<size_t>(16, bytes.size() - at - 1));
      const size_t symbols = std::accumulate(counts.begin(), counts.end(), size_t{0});
      if (symbols > 256) return false;
      at += 17 + symbols;
    }
  }
  return true;
}

bool png_is_complete(Bytes bytes) {
  for (size_t at = kPngStart.size(); at + 12 <= bytes.size(); at += size_t{12} + big_endian32(bytes, at))
    if (big_endian32(bytes, at + 4) == kIend) return true;
  return false;
}

void check_is_image(Bytes bytes, const std::string& name) {
  check_input(!bytes.empty(), "{} is empty; expected a JPEG or PNG image.", name);
  check_input(starts_with(bytes, kJpegStart) || starts_with(bytes, kPngStart),
              "{} is neither a JPEG nor a PNG image: its first bytes are those of another format.", name);
}

std::optional<Header> parse_header(Bytes bytes) {
  return starts_with(bytes, kJpegStart) ? jpeg_header(bytes) : png_header(bytes);
}

ImageInfo checked_info(const std::optional<Header>& header, const std::string& name,
                       const ImageLimits& limits) {
  check_input(header.has_value(), "{} is truncated: it ends before its header does.", name);
  check_input(header->width > 0 && header->height > 0, "{} has no pixels: its header says {} x {}.", name,
              header->width, header->height);
  check_input(
      header->width <= limits.max_side && header->height <= limits.max_side &&
          header->width * header->height <= limits.max_pixels,
      "{} is too large: its header says {} x {} pixels; at most {} per side and {} in total are read.", name,
      header->width, header->height, limits.max_side, limits.max_pixels);
  check_input(header->components != 4 || header->adobe_transform == 0 || header->adobe_transform == 2,
              "{} is a JPEG with four colours but without the Adobe marker that says which (CMYK or YCCK); "
              "convert it to RGB first.",
              name);
  const ImageSize stored{static_cast<int>(header->width), static_cast<int>(header->height)};
  return {turn_size(stored, header->orientation), stored, header->orientation};
}

/// RGB from RGBA over white.
std::vector<uint8_t> over_white(Bytes rgba) {
  std::vector<uint8_t> rgb(rgba.size() / 4 * 3);
  for (size_t from = 0, to = 0; from < rgba.size(); from += 4, to += 3) {
    const int alpha = rgba[from + 3];
    for (size_t c = 0; c < 3; ++c)
      rgb[to + c] = static_cast<uint8_t>((rgba[from + c] * alpha + 255 * (255 - alpha) + 127) / 255);
  }
  return rgb;
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

Image read_image(const std::filesystem::path& path, const ImageLimits& limits) {
  const std::string name = path.string();
  const std::vector<uint8_t> bytes = read_file(path);
  check_is_image(bytes, name);
  const ImageInfo info = checked_info(parse_header(bytes), name, limits);
  const bool is_png = starts_with(Bytes(bytes), kPngStart);
  check_input(is_png ? png_is_complete(bytes) : jpeg_is_complete(bytes),
              "{} is truncated: its {} bytes end before the image does.", name, bytes.size());
  check_input(is_png || jpeg_tables_fit(bytes),
              "{} is damaged: one of its Huffman tables has more than 256 symbols.", name);

  Image image;
  image.width = info.stored.width;
  image.height = info.stored.height;
  image.rgb = is_png ? over_white(stb_decode(bytes, info.stored, 4, name))
                     : jpeg_libraries().front().decode(bytes, info.stored, name);
  return info.orientation == 1 ? image : turn_image(image, info.orientation);
}

ImageInfo read_image_info(const std::filesystem::path& path, const ImageLimits& limits) {
  std::vector<uint8_t> bytes = read_file(path, kHeaderBytes);
  check_is_image(bytes, path.string());
  std::optional<Header> header = parse_header(bytes);
  if (!header && bytes.size() == kHeaderBytes) {  // a large thumbnail or colour profile comes first
    bytes = read_file(path);
    header = parse_header(bytes);
  }
  return checked_info(header, path.string(), limits);
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

}  // namespace rcnn
