// The lists of libraries, and the functions of stb_image and stb_image_write.
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

std::span<const FormatLibrary> format_libraries() {
  static const FormatLibrary kLibraries[] = {
#if defined(RCNN_LIBWEBP)
    {ImageFormat::webp, "WebP", "libwebp-dev", webp_version(), webp_decode},
#else
    {ImageFormat::webp, "WebP", "libwebp-dev", "", nullptr},
#endif
#if defined(RCNN_LIBTIFF)
    {ImageFormat::tiff, "TIFF", "libtiff-dev", tiff_version(), tiff_decode},
#else
    {ImageFormat::tiff, "TIFF", "libtiff-dev", "", nullptr},
#endif
  };
  return kLibraries;
}

const FormatLibrary* library_for(ImageFormat format) {
  for (const FormatLibrary& library : format_libraries())
    if (library.format == format) return &library;
  return nullptr;
}

std::vector<uint8_t> over_white(std::span<const uint8_t> rgba) {
  std::vector<uint8_t> rgb(rgba.size() / 4 * 3);
  for (size_t from = 0, to = 0; from < rgba.size(); from += 4, to += 3) {
    const int alpha = rgba[from + 3];
    for (size_t c = 0; c < 3; ++c)
      rgb[to + c] = static_cast<uint8_t>((rgba[from + c] * alpha + 255 * (255 - alpha) + 127) / 255);
  }
  return rgb;
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
  if (!pixels) {
    const char* reason = stbi_failure_reason();  // null after some faults in compressed data
    throw InputError(fmt::format("{} cannot be decoded: it is damaged or of an unsupported kind ({}).", file,
                                 reason != nullptr ? reason : "no reason given"));
  }
  check_decoded_size({width, height}, size, file);
  return {pixels.get(), pixels.get() + static_cast<size_t>(width) * height * channels};
}

void check_decoded_size(ImageSize found, ImageSize expected, const std::string& file) {
  check_input(found == expected, "{} is damaged: two headers disagree about its size.", file);
}

}  // namespace rcnn
