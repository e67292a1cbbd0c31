// Reads the structure of WebP files (RFC 9649) and the first directory of TIFF files (TIFF 6.0, BigTIFF).
#include <algorithm>
#include <string_view>

#include "data/exif.h"
#include "data/image_header.h"

namespace rcnn {
namespace {

using Bytes = std::span<const uint8_t>;

/// A whole number of `count` bytes at `at`, which the caller has found to be there.
uint64_t number_at(Bytes bytes, size_t at, size_t count, bool big_endian = false) {
  uint64_t value = 0;
  for (size_t i = 0; i < count; ++i) value |= uint64_t{bytes[at + i]} << 8 * (big_endian ? count - 1 - i : i);
  return value;
}

bool has_text(Bytes bytes, size_t at, std::string_view text) {
  return at + text.size() <= bytes.size() &&
         std::equal(text.begin(), text.end(), bytes.begin() + static_cast<ptrdiff_t>(at),
                    [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

// ---- WebP
// -------------------------------------------------------------------------------------------------------

/// Where the file ends by its own account.
size_t webp_end(Bytes bytes) { return 8 + number_at(bytes, 4, 4); }

/// The size that the chunk of a lossy or lossless picture gives. The chunk begins at `at`.
std::optional<ImageHeader> webp_picture(Bytes bytes, size_t at) {
  const size_t content = at + 8;
  ImageHeader header;
  if (has_text(bytes, at, "VP8L")) {  // a signature, then width - 1 and height - 1 in 14 bits each
    if (content + 5 > bytes.size()) return std::nullopt;
    const uint64_t bits = number_at(bytes, content + 1, 4);
    header.width = static_cast<int64_t>(bits & 0x3FFF) + 1;
    header.height = static_cast<int64_t>(bits >> 14 & 0x3FFF) + 1;
  } else {  // a tag of 3 bytes and a start code of 3 bytes
    if (content + 10 > bytes.size()) return std::nullopt;
    header.width = static_cast<int64_t>(number_at(bytes, content + 6, 2) & 0x3FFF);
    header.height = static_cast<int64_t>(number_at(bytes, content + 8, 2) & 0x3FFF);
  }
  return header;
}

// ---- TIFF
// -------------------------------------------------------------------------------------------------------

/// The first directory of a TIFF file.
class TiffDirectory {
 public:
  /// Nothing if the bytes end before the directory does.
  static std::optional<TiffDirectory> find(Bytes bytes) {
    if (bytes.size() < 8) return std::nullopt;
    TiffDirectory tiff(bytes);
    const bool big_file = tiff.number(2, 2) == 43;
    if (big_file && bytes.size() < 16) return std::nullopt;
    const uint64_t at = big_file ? tiff.number(8, 8) : tiff.number(4, 4);
    const size_t count_bytes = big_file ? 8 : 2;
    tiff.entry_bytes_ = big_file ? 20 : 12;
    if (at > bytes.size() || bytes.size() - at < count_bytes) return std::nullopt;
    const uint64_t count = tiff.number(at, count_bytes);
    tiff.begin_ = at + count_bytes;
    if (count > (bytes.size() - tiff.begin_) / tiff.entry_bytes_) return std::nullopt;
    tiff.count_ = count;
    return tiff;
  }

  /// The value of a tag with a single whole number, or `missing`.
  int64_t value(uint64_t tag, int64_t missing) const {
    for (size_t i = 0; i < count_; ++i) {
      const size_t at = begin_ + i * entry_bytes_;
      if (number(at, 2) != tag) continue;
      const uint64_t type = number(at + 2, 2);
      const size_t size = type == 1                          ? 1
                          : type == 3                        ? 2
                          : type == 4                        ? 4
                          : type == 16 && entry_bytes_ == 20 ? 8
                                                             : 0;
      if (size == 0) return missing;
      const uint64_t found = number(at + (entry_bytes_ == 20 ? 12 : 8), size);
      return static_cast<int64_t>(std::min<uint64_t>(found, uint64_t{1} << 40));  // so that it stays positive
    }
    return missing;
  }

 private:
  explicit TiffDirectory(Bytes bytes) : bytes_(bytes), big_endian_(bytes[0] == 'M') {}
  uint64_t number(size_t at, size_t count) const { return number_at(bytes_, at, count, big_endian_); }

  Bytes bytes_;
  bool big_endian_;
  size_t begin_ = 0, entry_bytes_ = 0, count_ = 0;
};

}  // namespace

bool is_webp(Bytes bytes) { return has_text(bytes, 0, "RIFF") && has_text(bytes, 8, "WEBP"); }

bool is_tiff(Bytes bytes) {
  for (const bool big_endian : {false, true}) {
    if (!has_text(bytes, 0, big_endian ? "MM" : "II") || bytes.size() < 4) continue;
    const uint64_t version = number_at(bytes, 2, 2, big_endian);
    if (version == 42 || version == 43) return true;
  }
  return false;
}

std::optional<ImageHeader> webp_header(Bytes bytes) {
  constexpr size_t kFirst = 12;
  if (!has_text(bytes, kFirst, "VP8X")) return webp_picture(bytes, kFirst);
  // Flags in 4 bytes, then width - 1 and height - 1 in 3 bytes each.
  if (bytes.size() < kFirst + 18) return std::nullopt;
  ImageHeader header;
  header.width = static_cast<int64_t>(number_at(bytes, kFirst + 12, 3)) + 1;
  header.height = static_cast<int64_t>(number_at(bytes, kFirst + 15, 3)) + 1;
  const bool has_exif = (bytes[kFirst + 8] & 8) != 0;
  if (!has_exif) return header;
  const size_t end = std::min(webp_end(bytes), bytes.size());
  for (size_t at = kFirst; at + 8 <= end;) {
    const size_t length = number_at(bytes, at + 4, 4), content = at + 8;
    if (length > end - content) break;
    if (has_text(bytes, at, "EXIF")) {
      // Some programs write the prefix that the block has in a JPEG.
      const size_t prefix = has_text(bytes, content, std::string_view("Exif\0\0", 6)) ? 6 : 0;
      if (prefix <= length)
        header.orientation = exif_orientation(bytes.subspan(content + prefix, length - prefix));
      return header;
    }
    at = content + length + length % 2;
  }
  if (webp_end(bytes) > bytes.size()) return std::nullopt;
  return header;
}

bool webp_is_complete(Bytes bytes) { return webp_end(bytes) <= bytes.size(); }

std::optional<ImageHeader> tiff_header(Bytes bytes) {
  constexpr uint64_t kWidth = 256, kHeight = 257, kOrientation = 274;
  const std::optional<TiffDirectory> directory = TiffDirectory::find(bytes);
  if (!directory) return std::nullopt;
  ImageHeader header;
  header.width = directory->value(kWidth, 0);
  header.height = directory->value(kHeight, 0);
  const int64_t orientation = directory->value(kOrientation, 1);
  header.orientation = orientation >= 1 && orientation <= 8 ? static_cast<int>(orientation) : 1;
  return header;
}

}  // namespace rcnn
