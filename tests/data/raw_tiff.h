// TIFF files that a test makes, byte by byte.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/data/fixtures.h"

namespace rcnn::fixtures {

/// An uncompressed TIFF of one strip.
struct RawTiff {
  uint32_t width = 1, height = 1;
  uint32_t bits = 8, samples = 3;
  uint32_t photometric = 2;            // 0: white is 0, 1: grey, 2: RGB, 3: palette, 5: CMYK
  std::vector<uint8_t> pixels = {};    // as the file has them
  std::vector<uint32_t> palette = {};  // all reds, all greens, all blues, of 16 bits
  std::vector<uint32_t> extra =
      {};                      // the meaning of channels after the colours: 1: premultiplied alpha, 2: alpha
  uint32_t orientation = 0;    // 0: not given
  uint32_t sample_format = 1;  // 3: floating point
  uint32_t strip_bytes = 0;    // 0: those of the pixels
  uint32_t odd_tag = 0;        // one that nobody knows
  bool big_endian = false, big_file = false, directory_first = false;
  uint32_t next_directory = 0;
};

inline std::vector<uint8_t> encode_raw_tiff(const RawTiff& image) {
  std::vector<uint8_t> tiff(2, image.big_endian ? 'M' : 'I'), directory, values;
  const auto append = [&](std::vector<uint8_t>& to, uint64_t value, int bytes) {
    if (bytes < 8) return append_number(to, static_cast<uint32_t>(value), bytes, image.big_endian);
    const auto high = static_cast<uint32_t>(value >> 32), low = static_cast<uint32_t>(value);
    append_number(to, image.big_endian ? high : low, 4, image.big_endian);
    append_number(to, image.big_endian ? low : high, 4, image.big_endian);
  };
  struct Entry {
    uint32_t tag, type;  // 3: two bytes, 4: four bytes
    std::vector<uint32_t> values;
  };
  const auto size = static_cast<uint32_t>(image.pixels.size());
  std::vector<Entry> entries = {{256, 4, {image.width}},
                                {257, 4, {image.height}},
                                {258, 3, std::vector<uint32_t>(image.samples, image.bits)},
                                {259, 3, {1}},
                                {262, 3, {image.photometric}},
                                {273, 4, {0}},
                                {277, 3, {image.samples}},
                                {278, 4, {image.height}},
                                {279, 4, {image.strip_bytes ? image.strip_bytes : size}}};
  if (image.orientation) entries.push_back({274, 3, {image.orientation}});
  if (!image.palette.empty()) entries.push_back({320, 3, image.palette});
  if (!image.extra.empty()) entries.push_back({338, 3, image.extra});
  if (image.sample_format != 1) entries.push_back({339, 3, {image.sample_format}});
  if (image.odd_tag) entries.push_back({image.odd_tag, 3, {7}});
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.tag < b.tag; });

  const int offset_bytes = image.big_file ? 8 : 4;
  const size_t header = image.big_file ? 16 : 8;
  const size_t directory_bytes = (image.big_file ? 8 : 2) + entries.size() * (image.big_file ? 20 : 12) +
                                 static_cast<size_t>(offset_bytes);
  const size_t pixels_at = header + (image.directory_first ? directory_bytes : 0);
  const size_t directory_at = image.directory_first ? header : header + size;
  const size_t values_at = header + size + directory_bytes;

  append(tiff, image.big_file ? 43 : 42, 2);
  if (image.big_file) append(tiff, 8, 2), append(tiff, 0, 2);
  append(tiff, directory_at, offset_bytes);

  append(directory, entries.size(), image.big_file ? 8 : 2);
  for (Entry& entry : entries) {
    if (entry.tag == 273) entry.values = {static_cast<uint32_t>(pixels_at)};
    append(directory, entry.tag, 2);
    append(directory, entry.type, 2);
    append(directory, entry.values.size(), offset_bytes);
    std::vector<uint8_t> bytes;
    for (const uint32_t value : entry.values) append(bytes, value, entry.type == 3 ? 2 : 4);
    if (bytes.size() <= static_cast<size_t>(offset_bytes)) {
      bytes.resize(static_cast<size_t>(offset_bytes));
      directory.insert(directory.end(), bytes.begin(), bytes.end());
    } else {
      append(directory, values_at + values.size(), offset_bytes);
      values.insert(values.end(), bytes.begin(), bytes.end());
    }
  }
  append(directory, image.next_directory, offset_bytes);

  const auto add = [&](const std::vector<uint8_t>& part) {
    tiff.insert(tiff.end(), part.begin(), part.end());
  };
  add(image.directory_first ? directory : image.pixels);
  add(image.directory_first ? image.pixels : directory);
  add(values);
  return tiff;
}

inline std::vector<uint8_t> tiff_of(const Image& image, uint32_t orientation = 0) {
  return encode_raw_tiff({.width = static_cast<uint32_t>(image.width),
                          .height = static_cast<uint32_t>(image.height),
                          .pixels = image.rgb,
                          .orientation = orientation});
}

}  // namespace rcnn::fixtures
