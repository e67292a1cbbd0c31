// A folder of labelled images that a test fills.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/folder.h"
#include "tests/data/fixtures.h"

namespace rcnn::fixtures {

/// The file of an image of its own for each number, a PNG of 40 x 30.
inline std::vector<uint8_t> numbered_picture(int number) {
  Image image = smooth_image(40, 30);
  image.pixel(0, 0)[0] = static_cast<uint8_t>(number);
  return encode_png(image);
}

/// Images are 40 x 30.
struct LabelFolder {
  TemporaryFolder folder;

  void image(const std::string& path) const { write_bytes(folder / path, stb_jpeg(smooth_image(40, 30))); }
  void text(const std::string& path, const std::string& content) const { write_text(folder / path, content); }
  DataFolder find() const { return find_data(folder.path()); }
  Dataset read(const std::string& split = "") const { return read_split(find(), split); }
};

}  // namespace rcnn::fixtures
