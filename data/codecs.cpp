// The list of JPEG libraries, and the functions of stb_image and stb_image_write.
#include "data/codecs.h"

#include <stb/stb_image.h>
#include <stb/stb_image_write.h>

#include <limits>
#include <memory>

#include "core/error.h"

namespace rcnn {
namespace {

std::vector<uint8_t> stb_decode_jpeg(std::span<const uint8_t> bytes, ImageSize size,
                                     const std::string& file) {
  return stb_decode(bytes, size, 3, file);
}

std::vector<uint8_t> stb_encode_jpeg(const Image& image, int quality) {
  std::vector<uint8_t> jpeg;
  const auto append = [](void* to, void* data, int size) {
    const auto* from = static_cast<const uint8_t*>(data);
    auto* out = static_cast<std::vector<uint8_t>*>(to);
    out->insert(out->end(), from, from + size);
  };
  const int done =
      stbi_write_jpg_to_func(append, &jpeg, image.width, image.height, 3, image.rgb.data(), quality);
  check(done != 0, "encode_jpeg: an image of {} x {} pixels could not be encoded.", image.width,
        image.height);
  return jpeg;
}

}  // namespace

std::span<const JpegLibrary> jpeg_libraries() {
  static const JpegLibrary kLibraries[] = {
#if defined(RCNN_LIBJPEG)
    {turbo_version(), turbo_decode_jpeg, true, turbo_encode_jpeg},
#endif
    {"stb_image", stb_decode_jpeg, false, stb_encode_jpeg},
  };
  return kLibraries;
}

std::vector<uint8_t> stb_decode(std::span<const uint8_t> bytes, ImageSize size, int channels,
                                const std::string& file) {
  check_input(bytes.size() <= size_t{std::numeric_limits<int>::max()},
              "{} is too large: it has {} bytes; at most 2 GiB are read.", file, bytes.size());
  int width = 0, height = 0, channels_in_file = 0;
  const std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> pixels(
      stbi_load_from_memory(bytes.data(), static_cast<int>(bytes.size()), &width, &height, &channels_in_file,
                            channels),
      stbi_image_free);
  check_input(pixels != nullptr, "{} cannot be decoded: it is damaged or of an unsupported kind ({}).", file,
              stbi_failure_reason());
  check_decoded_size({width, height}, size, file);
  return {pixels.get(), pixels.get() + static_cast<size_t>(width) * height * channels};
}

void check_decoded_size(ImageSize found, ImageSize expected, const std::string& file) {
  check_input(found == expected, "{} is damaged: two headers disagree about its size.", file);
}

}  // namespace rcnn
