// Helpers for tests that write their own files.
#pragma once

#include <doctest/doctest.h>
#include <stb/stb_image_write.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/rng.h"
#include "data/image.h"

namespace rcnn::fixtures {

/// A new temporary folder, which is removed with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "rcnn-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline void write_bytes(const std::filesystem::path& path, std::span<const uint8_t> bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  REQUIRE(file.good());
}

inline void write_text(const std::filesystem::path& path, std::string_view text) {
  write_bytes(path, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

/// An image of random pixels; the same number gives the same image.
inline Image random_image(int width, int height, uint32_t number = 0) {
  Image image(width, height);
  RandomSequence random(1, Purpose::test, number);
  for (uint8_t& byte : image.rgb) byte = static_cast<uint8_t>(random.below(256));
  return image;
}

/// A smooth image, which JPEG reproduces within a few steps.
inline Image smooth_image(int width, int height) {
  Image image(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      image.pixel(x, y)[0] = static_cast<uint8_t>(40 + 150 * x / width);
      image.pixel(x, y)[1] = static_cast<uint8_t>(60 + 150 * y / height);
      image.pixel(x, y)[2] = 90;
    }
  return image;
}

/// The image as a JPEG file, in colour or, from its red channel, in greyscale.
inline std::vector<uint8_t> stb_jpeg(const Image& image, bool grey = false) {
  std::vector<uint8_t> bytes, pixels = image.rgb;
  const auto append = [](void* to, void* data, int size) {
    const auto* from = static_cast<const uint8_t*>(data);
    static_cast<std::vector<uint8_t>*>(to)->insert(static_cast<std::vector<uint8_t>*>(to)->end(), from,
                                                   from + size);
  };
  if (grey)
    for (size_t i = 0; i < pixels.size(); i += 3) pixels[i + 1] = pixels[i + 2] = pixels[i];
  REQUIRE(stbi_write_jpg_to_func(append, &bytes, image.width, image.height, 3, pixels.data(), 95) != 0);
  return bytes;
}

/// The position of a two-byte JPEG marker.
inline size_t find_marker(const std::vector<uint8_t>& jpeg, uint8_t code) {
  for (size_t i = 0; i + 1 < jpeg.size(); ++i)
    if (jpeg[i] == 0xFF && jpeg[i + 1] == code) return i;
  FAIL("the JPEG has no such marker");
  return 0;
}

inline void append_big_endian(std::vector<uint8_t>& bytes, uint32_t value, int count = 4) {
  for (int shift = 8 * (count - 1); shift >= 0; shift -= 8)
    bytes.push_back(static_cast<uint8_t>(value >> shift));
}

/// Appends a number of two or four bytes in either byte order.
inline void append_number(std::vector<uint8_t>& bytes, uint32_t value, int count, bool big_endian) {
  if (big_endian) return append_big_endian(bytes, value, count);
  for (int i = 0; i < count; ++i) bytes.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

/// An EXIF block (TIFF) whose first directory holds the orientation. The second one, for a thumbnail, holds
/// another orientation.
inline std::vector<uint8_t> exif_block(uint32_t orientation, bool big_endian = false,
                                       uint32_t thumbnail = 1) {
  std::vector<uint8_t> tiff(2, big_endian ? 'M' : 'I');
  const auto add = [&](uint32_t value, int count) { append_number(tiff, value, count, big_endian); };
  add(42, 2);
  add(8, 4);  // the offset of the first directory
  for (const auto& [value, next] : {std::pair(orientation, 26u), std::pair(thumbnail, 0u)}) {
    add(1, 2);       // entries
    add(0x0112, 2);  // the tag: orientation
    add(3, 2);       // the type: two bytes
    add(1, 4);       // one value
    add(value, 2);
    add(0, 2);
    add(next, 4);  // the offset of the next directory
  }
  return tiff;
}

/// The JPEG with a segment with this content inserted directly after its start.
inline std::vector<uint8_t> with_segment(std::vector<uint8_t> jpeg, uint8_t code, std::string_view name,
                                         std::span<const uint8_t> content) {
  std::vector<uint8_t> segment = {0xFF, code};
  append_big_endian(segment, static_cast<uint32_t>(2 + name.size() + content.size()), 2);
  segment.insert(segment.end(), name.begin(), name.end());
  segment.insert(segment.end(), content.begin(), content.end());
  jpeg.insert(jpeg.begin() + 2, segment.begin(), segment.end());
  return jpeg;
}

inline std::vector<uint8_t> with_exif(std::vector<uint8_t> jpeg, std::span<const uint8_t> tiff) {
  return with_segment(std::move(jpeg), 0xE1, std::string_view("Exif\0\0", 6), tiff);
}

inline std::vector<uint8_t> with_orientation(std::vector<uint8_t> jpeg, int orientation) {
  return with_exif(std::move(jpeg), exif_block(static_cast<uint32_t>(orientation)));
}

inline uint32_t crc32(std::span<const uint8_t> bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (const uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
  }
  return ~crc;
}

inline void append_chunk(std::vector<uint8_t>& png, std::string_view type, std::span<const uint8_t> data) {
  append_big_endian(png, static_cast<uint32_t>(data.size()));
  const size_t begin = png.size();
  png.insert(png.end(), type.begin(), type.end());
  png.insert(png.end(), data.begin(), data.end());
  append_big_endian(png, crc32(std::span(png).subspan(begin)));
}

/// The bytes as an uncompressed zlib stream of one block.
inline std::vector<uint8_t> stored_zlib(std::span<const uint8_t> data) {
  const auto length = static_cast<uint16_t>(data.size());
  std::vector<uint8_t> stream = {0x78, 0x01, 0x01};
  for (const uint16_t word : {length, static_cast<uint16_t>(~length)}) {
    stream.push_back(static_cast<uint8_t>(word));
    stream.push_back(static_cast<uint8_t>(word >> 8));
  }
  uint32_t a = 1, b = 0;
  for (const uint8_t byte : data) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  stream.insert(stream.end(), data.begin(), data.end());
  append_big_endian(stream, b << 16 | a);
  return stream;
}

/// A PNG of a kind that stb_image_write cannot make: any depth and colour type, palette, transparency.
struct RawPng {
  uint32_t width = 1, height = 1;
  uint8_t depth = 8, colour_type = 2;                    // 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA
  std::vector<uint8_t> rows = {};                        // each row starts with its filter byte, 0
  std::vector<uint8_t> palette = {}, transparency = {};  // PLTE, tRNS
  std::vector<uint8_t> exif = {};                        // eXIf
  uint8_t interlace = 0;                                 // 1: Adam7
};

inline std::vector<uint8_t> encode_raw_png(const RawPng& image) {
  std::vector<uint8_t> png = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'}, header;
  append_big_endian(header, image.width);
  append_big_endian(header, image.height);
  header.insert(header.end(), {image.depth, image.colour_type, 0, 0, image.interlace});
  append_chunk(png, "IHDR", header);
  if (!image.palette.empty()) append_chunk(png, "PLTE", image.palette);
  if (!image.transparency.empty()) append_chunk(png, "tRNS", image.transparency);
  if (!image.exif.empty()) append_chunk(png, "eXIf", image.exif);
  append_chunk(png, "IDAT", stored_zlib(image.rows));
  append_chunk(png, "IEND", {});
  return png;
}

/// The message of the InputError that `action` throws; fails the test if it throws none.
template <class Action>
std::string input_error(const Action& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  FAIL("expected an InputError");
  return {};
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// The folder of a real dataset; empty if it does not exist. RCNN_DATA overrides ../shared/data.
inline std::filesystem::path real_data(const std::string& name) {
  const char* root = std::getenv("RCNN_DATA");
  const std::filesystem::path path = std::filesystem::path(root ? root : "../shared/data") / name;
  if (std::filesystem::is_directory(path)) return path;
  MESSAGE("skipped: no real data at ", path.string());
  return {};
}

}  // namespace rcnn::fixtures
