// Reads the structure of JPEG, PNG and BMP files. For WebP and TIFF, see data/riff_tiff_header.cpp.
#include "data/image_header.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <string_view>

#include "data/exif.h"

namespace rcnn {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr std::array<uint8_t, 3> kJpegStart = {0xFF, 0xD8, 0xFF};
constexpr std::array<uint8_t, 2> kBmpStart = {'B', 'M'};
constexpr std::array<uint8_t, 8> kPngStart = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
// The types of a PNG's chunks, as numbers.
constexpr uint32_t kIhdr = 0x49484452, kIdat = 0x49444154, kIend = 0x49454E44, kExifChunk = 0x65584966;
constexpr std::string_view kAdobe = "Adobe", kExif{"Exif\0\0", 6};

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

std::optional<ImageHeader> jpeg_header(Bytes bytes) {
  JpegMarkers markers(bytes);
  ImageHeader header;
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
std::optional<ImageHeader> png_header(Bytes bytes) {
  ImageHeader header;
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

bool png_is_complete(Bytes bytes) {
  for (size_t at = kPngStart.size(); at + 12 <= bytes.size(); at += size_t{12} + big_endian32(bytes, at))
    if (big_endian32(bytes, at + 4) == kIend) return true;
  return false;
}

uint32_t little_endian32(Bytes bytes, size_t at) {
  return bytes[at] | (uint32_t{bytes[at + 1]} << 8) | (uint32_t{bytes[at + 2]} << 16) |
         (uint32_t{bytes[at + 3]} << 24);
}
uint32_t little_endian16(Bytes bytes, size_t at) { return bytes[at] | (uint32_t{bytes[at + 1]} << 8); }

int64_t signed32(Bytes bytes, size_t at) { return static_cast<int32_t>(little_endian32(bytes, at)); }

/// The parts of a BMP's headers: BITMAPFILEHEADER and the beginning of BITMAPINFOHEADER or the older
/// BITMAPCOREHEADER, which has 12 bytes.
struct Bmp {
  int64_t width = 0, height = 0, pixels = 0;  // `pixels`: where they begin
  int64_t bits = 0;                           // per pixel

  /// Nothing if the bytes end too early.
  static std::optional<Bmp> parse(Bytes bytes) {
    if (bytes.size() < 30) return std::nullopt;
    Bmp bmp;
    bmp.pixels = little_endian32(bytes, 10);
    const bool old = little_endian32(bytes, 14) == 12;
    bmp.width = old ? int64_t{little_endian16(bytes, 18)} : signed32(bytes, 18);
    bmp.height = old ? int64_t{little_endian16(bytes, 20)} : signed32(bytes, 22);
    if (bmp.height < 0) bmp.height = -bmp.height;  // the rows go from top to bottom
    bmp.bits = little_endian16(bytes, old ? 24 : 28);
    return bmp;
  }
};

std::optional<ImageHeader> bmp_header(Bytes bytes) {
  const std::optional<Bmp> bmp = Bmp::parse(bytes);
  if (!bmp) return std::nullopt;
  ImageHeader header;
  header.width = bmp->width;
  header.height = bmp->height;
  return header;
}

/// Each row fills a multiple of four bytes.
bool bmp_is_complete(Bytes bytes) {
  const std::optional<Bmp> bmp = Bmp::parse(bytes);
  if (!bmp) return false;
  const int64_t row = (bmp->width * bmp->bits + 31) / 32 * 4;
  return bmp->pixels + row * bmp->height <= static_cast<int64_t>(bytes.size());
}

}  // namespace

ImageFormat image_format(Bytes bytes) {
  if (starts_with(bytes, kJpegStart)) return ImageFormat::jpeg;
  if (starts_with(bytes, kPngStart)) return ImageFormat::png;
  if (starts_with(bytes, kBmpStart)) return ImageFormat::bmp;
  if (is_webp(bytes)) return ImageFormat::webp;
  return is_tiff(bytes) ? ImageFormat::tiff : ImageFormat::none;
}

std::optional<ImageHeader> parse_image_header(Bytes bytes) {
  switch (image_format(bytes)) {
    case ImageFormat::jpeg:
      return jpeg_header(bytes);
    case ImageFormat::png:
      return png_header(bytes);
    case ImageFormat::bmp:
      return bmp_header(bytes);
    case ImageFormat::webp:
      return webp_header(bytes);
    case ImageFormat::tiff:
      return tiff_header(bytes);
    case ImageFormat::none:
      break;
  }
  return std::nullopt;
}

bool image_is_complete(Bytes bytes) {
  switch (image_format(bytes)) {
    case ImageFormat::jpeg:
      return jpeg_is_complete(bytes);
    case ImageFormat::png:
      return png_is_complete(bytes);
    case ImageFormat::bmp:
      return bmp_is_complete(bytes);
    case ImageFormat::webp:
      return webp_is_complete(bytes);
    case ImageFormat::tiff:
      return true;
    case ImageFormat::none:
      break;
  }
  return false;
}

bool jpeg_has_all_scans(Bytes bytes) {
  JpegMarkers markers(bytes);
  // For each component, how many bits of each of its 64 coefficients are still missing. A scan of a
  // progressive JPEG (T.81, annex G) brings some bits of a range of coefficients; a scan of another JPEG
  // brings all of all.
  std::map<uint8_t, std::array<int, 64>> missing;
  while (const uint8_t code = markers.next()) {
    const Bytes content = markers.content();
    if (is_frame_header(code) && content.size() >= 6) {
      for (size_t i = 0; i < content[5] && 6 + 3 * i < content.size(); ++i)
        missing[content[6 + 3 * i]].fill(16);
    } else if (code == 0xDA && !content.empty()) {
      const size_t count = content[0];
      if (content.size() < 4 + 2 * count) return false;
      const Bytes last = content.subspan(1 + 2 * count);
      for (size_t i = 0; i < count; ++i)
        for (size_t k = last[0]; k <= std::min<size_t>(last[1], 63); ++k)
          missing[content[1 + 2 * i]][k] = last[2] & 15;
    }
  }
  return !missing.empty() && std::all_of(missing.begin(), missing.end(), [](const auto& component) {
    return std::all_of(component.second.begin(), component.second.end(), [](int bits) { return bits == 0; });
  });
}

size_t count_jpeg_scans(Bytes bytes) {
  JpegMarkers markers(bytes);
  size_t scans = 0;
  while (const uint8_t code = markers.next()) scans += code == 0xDA ? 1 : 0;
  return scans;
}

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

}  // namespace rcnn
