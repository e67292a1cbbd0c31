// A file's header is read here, before stb_image sees the file: the decoder allocates what a header claims,
// guesses at four-component JPEGs, and fills up a truncated JPEG with grey without a word.
#include "data/image.h"

#include <stb/stb_image.h>
#include <stb/stb_image_write.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "core/atomic_file.h"
#include "core/error.h"
#include "data/files.h"

namespace rcnn {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr std::array<uint8_t, 3> kJpegStart = {0xFF, 0xD8, 0xFF};
constexpr std::array<uint8_t, 8> kPngStart = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
constexpr size_t kHeaderBytes =
    65536;  // enough for nearly every header; read_image_size goes on where it is not

struct Header {
  int64_t width = 0, height = 0;
  bool cmyk = false;
};

template <size_t N>
bool starts_with(Bytes bytes, const std::array<uint8_t, N>& start) {
  return bytes.size() >= N && std::equal(start.begin(), start.end(), bytes.begin());
}

uint32_t big_endian16(Bytes bytes, size_t at) { return (uint32_t{bytes[at]} << 8) | bytes[at + 1]; }
uint32_t big_endian32(Bytes bytes, size_t at) {
  return (big_endian16(bytes, at) << 16) | big_endian16(bytes, at + 2);
}

/// Steps through the markers of a JPEG file (ITU-T T.81, annex B). A thumbnail inside an APPn segment is
/// stepped over with its segment, so that its frame header and its end marker are not taken for the
/// photograph's.
class JpegMarkers {
 public:
  explicit JpegMarkers(Bytes bytes) : bytes_(bytes) {}

  /// The next marker's code, 0 at the end of the bytes.
  uint8_t next() {
    while (at_ + 1 < bytes_.size()) {
      const uint8_t code = bytes_[at_ + 1];
      if (bytes_[at_] != 0xFF || code == 0xFF ||
          code == 0x00) {  // entropy-coded data, padding, a stuffed 0xFF
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

  /// Where the current marker's segment starts, at its length.
  size_t segment() const { return segment_; }

 private:
  Bytes bytes_;
  size_t at_ = 0, segment_ = 0;
};

bool is_frame_header(uint8_t code) {
  return code >= 0xC0 && code <= 0xCF && code != 0xC4 && code != 0xC8 && code != 0xCC;
}

std::optional<Header> jpeg_header(Bytes bytes) {
  JpegMarkers markers(bytes);
  while (const uint8_t code = markers.next()) {
    const size_t segment = markers.segment();
    if (!is_frame_header(code) || segment + 8 > bytes.size()) continue;
    return Header{big_endian16(bytes, segment + 5), big_endian16(bytes, segment + 3),
                  bytes[segment + 7] == 4};
  }
  return std::nullopt;
}

std::optional<Header> png_header(Bytes bytes) {
  if (bytes.size() < 24) return std::nullopt;
  return Header{big_endian32(bytes, 16), big_endian32(bytes, 20)};
}

bool jpeg_is_complete(Bytes bytes) {
  JpegMarkers markers(bytes);
  while (const uint8_t code = markers.next())
    if (code == 0xD9) return true;
  return false;
}

bool png_is_complete(Bytes bytes) {
  for (size_t at = kPngStart.size(); at + 12 <= bytes.size(); at += size_t{12} + big_endian32(bytes, at))
    if (big_endian32(bytes, at + 4) == 0x49454E44) return true;  // "IEND"
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

ImageSize checked_size(const std::optional<Header>& header, const std::string& name,
                       const ImageLimits& limits) {
  check_input(header.has_value(), "{} is truncated: it ends before its header does.", name);
  check_input(header->width > 0 && header->height > 0, "{} has no pixels: its header says {} x {}.", name,
              header->width, header->height);
  check_input(header->width <= limits.max_side && header->height <= limits.max_side &&
                  header->width * header->height <= limits.max_pixels,
              "{} is too large: its header says {} x {} pixels, at most {} a side and {} in all are read.",
              name, header->width, header->height, limits.max_side, limits.max_pixels);
  check_input(!header->cmyk, "{} is a CMYK JPEG, which is not supported; convert it to RGB first.", name);
  return {static_cast<int>(header->width), static_cast<int>(header->height)};
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

}  // namespace

Image read_image(const std::filesystem::path& path, const ImageLimits& limits) {
  const std::string name = path.string();
  const std::vector<uint8_t> bytes = read_file(path);
  check_is_image(bytes, name);
  const ImageSize size = checked_size(parse_header(bytes), name, limits);
  const bool is_png = starts_with(Bytes(bytes), kPngStart);
  check_input(is_png ? png_is_complete(bytes) : jpeg_is_complete(bytes),
              "{} is truncated: its {} bytes end before the image does.", name, bytes.size());
  check_input(bytes.size() <= size_t{std::numeric_limits<int>::max()},
              "{} is too large: {} bytes, at most 2 GiB are read.", name, bytes.size());

  int width = 0, height = 0, channels_in_file = 0;
  const int channels = is_png ? 4 : 3;
  const std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> pixels(
      stbi_load_from_memory(bytes.data(), static_cast<int>(bytes.size()), &width, &height, &channels_in_file,
                            channels),
      stbi_image_free);
  check_input(pixels != nullptr, "{} cannot be decoded: it is damaged or of an unsupported kind ({}).", name,
              stbi_failure_reason());
  check_input(ImageSize{width, height} == size, "{} is damaged: two headers disagree about its size.", name);

  Image image;
  image.width = width;
  image.height = height;
  const Bytes decoded(pixels.get(), static_cast<size_t>(width) * height * channels);
  if (is_png)
    image.rgb = over_white(decoded);
  else
    image.rgb.assign(decoded.begin(), decoded.end());
  return image;
}

ImageSize read_image_size(const std::filesystem::path& path, const ImageLimits& limits) {
  std::vector<uint8_t> bytes = read_file(path, kHeaderBytes);
  check_is_image(bytes, path.string());
  std::optional<Header> header = parse_header(bytes);
  if (!header && bytes.size() == kHeaderBytes) {  // a large thumbnail or colour profile comes first
    bytes = read_file(path);
    header = parse_header(bytes);
  }
  return checked_size(header, path.string(), limits);
}

std::vector<uint8_t> encode_png(const Image& image) {
  check(image.width > 0 && image.height > 0 &&
            image.rgb.size() ==
                size_t{3} * static_cast<size_t>(image.width) * static_cast<size_t>(image.height),
        "encode_png: an image of {} x {} pixels with {} bytes; expected 3 bytes a pixel.", image.width,
        image.height, image.rgb.size());
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

void write_png(const std::filesystem::path& path, const Image& image) {
  const std::vector<uint8_t> bytes = encode_png(image);
  write_atomically(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, Sync::no);
}

}  // namespace rcnn
