// WebP by libwebp.
#include <webp/decode.h>

#include <new>

#include "core/error.h"
#include "data/codecs.h"

namespace rcnn {
namespace {

const char* reason_of(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return "it ends before the image does";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "it needs a feature that libwebp lacks";
    default:
      return "libwebp finds a fault in its data";
  }
}

void check_status(VP8StatusCode status, const std::string& file) {
  if (status == VP8_STATUS_OUT_OF_MEMORY) throw std::bad_alloc();
  check_input(status == VP8_STATUS_OK, "{} cannot be decoded: it is damaged or of an unsupported kind ({}).",
              file, reason_of(status));
}

}  // namespace

std::string webp_version() {
  const int version = WebPGetDecoderVersion();
  return fmt::format("libwebp {}.{}.{}", version >> 16, version >> 8 & 0xFF, version & 0xFF);
}

std::vector<uint8_t> webp_decode(std::span<const uint8_t> bytes, ImageSize size, const std::string& file) {
  WebPDecoderConfig config;
  check(WebPInitDecoderConfig(&config) != 0, "libwebp has another version than its headers.");
  check_status(WebPGetFeatures(bytes.data(), bytes.size(), &config.input), file);
  check_input(config.input.has_animation == 0, "{} is an animation; expected a single image.", file);
  check_decoded_size({config.input.width, config.input.height}, size, file);
  const size_t width = static_cast<size_t>(size.width), channels = config.input.has_alpha != 0 ? 4 : 3;
  std::vector<uint8_t> pixels(channels * width * static_cast<size_t>(size.height));
  config.output.colorspace = channels == 4 ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = pixels.data();
  config.output.u.RGBA.stride = static_cast<int>(channels * width);
  config.output.u.RGBA.size = pixels.size();
  const VP8StatusCode status = WebPDecode(bytes.data(), bytes.size(), &config);
  WebPFreeDecBuffer(&config.output);
  check_status(status, file);
  return channels == 4 ? over_white(pixels) : pixels;
}

}  // namespace rcnn
