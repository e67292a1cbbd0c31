#include "data/image.h"

#include "tests/fuzz/targets.h"

void rcnn::fuzz::image(const std::filesystem::path& file) {
  const ImageLimits limits{4096, 1'000'000};
  const ImageInfo info = read_image_info(file, limits);
  const Image image = read_image(file, limits);
  check(info.seen == ImageSize{image.width, image.height}, "the header gives another size than the image");
  check(image.rgb.size() == size_t{3} * image.width * image.height,
        "the number of pixels does not match the size");
}
