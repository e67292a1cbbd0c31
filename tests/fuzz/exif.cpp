#include "data/exif.h"

#include "data/files.h"
#include "tests/fuzz/targets.h"

void rcnn::fuzz::exif(const std::filesystem::path& file) {
  const int orientation = exif_orientation(read_file(file));
  check(orientation >= 1 && orientation <= 8, "the orientation is not in 1 to 8");
}
