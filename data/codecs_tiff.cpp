// TIFF by libtiff: the first page, through libtiff's conversion of every kind of pixel to RGBA.
#include <tiffio.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

#include "core/error.h"
#include "data/codecs.h"

namespace rcnn {
namespace {

/// The bytes of a file as libtiff reads them, and the first fault that it reports. libtiff prints its faults
/// and warnings unless they are taken from it.
struct Source {
  std::span<const uint8_t> bytes;
  uint64_t at = 0;
  std::array<char, 256> fault{};

  static Source& of(void* handle) { return *static_cast<Source*>(handle); }
};

tmsize_t read_bytes(thandle_t handle, void* to, tmsize_t count) {
  Source& source = Source::of(handle);
  if (count <= 0 || source.at >= source.bytes.size()) return 0;
  const size_t found =
      std::min(static_cast<size_t>(count), source.bytes.size() - static_cast<size_t>(source.at));
  std::memcpy(to, source.bytes.data() + source.at, found);
  source.at += found;
  return static_cast<tmsize_t>(found);
}

tmsize_t write_no_bytes(thandle_t, void*, tmsize_t) { return 0; }

toff_t seek(thandle_t handle, toff_t offset, int from) {
  Source& source = Source::of(handle);
  source.at = offset + (from == SEEK_CUR ? source.at : from == SEEK_END ? source.bytes.size() : 0);
  return source.at;
}

int close_nothing(thandle_t) { return 0; }

toff_t size_of(thandle_t handle) { return Source::of(handle).bytes.size(); }

/// libtiff then reads the bytes where they are.
int map_bytes(thandle_t handle, void** base, toff_t* size) {
  Source& source = Source::of(handle);
  *base = const_cast<uint8_t*>(source.bytes.data());  // libtiff only reads them
  *size = source.bytes.size();
  return 1;
}

void unmap_nothing(thandle_t, void*, toff_t) {}

int keep_fault(TIFF*, void* handle, const char*, const char* format, va_list values) {
  std::array<char, 256>& fault = Source::of(handle).fault;
  if (fault[0] != '\0') return 1;
  std::vsnprintf(fault.data(), fault.size(), format, values);
  // The pixels are read as they are stored, whatever the orientation. tiff_header takes an impossible one
  // for 1, and libtiff goes on with that, too.
  if (std::strstr(fault.data(), "for \"Orientation\" tag")) fault[0] = '\0';
  return 1;  // nothing else is done with it
}

int ignore_warning(TIFF*, void*, const char*, const char*, va_list) { return 1; }

using Tiff = std::unique_ptr<TIFF, decltype(&TIFFClose)>;

/// `max_bytes`: of a single piece of memory that libtiff may take.
Tiff open_tiff(Source& source, uint64_t max_bytes) {
  const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> options(TIFFOpenOptionsAlloc(),
                                                                                 TIFFOpenOptionsFree);
  if (!options) throw std::bad_alloc();
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), static_cast<tmsize_t>(max_bytes));
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), keep_fault, &source);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), ignore_warning, &source);
  return {TIFFClientOpenExt("the file", "r", &source, read_bytes, write_no_bytes, seek, close_nothing,
                            size_of, map_bytes, unmap_nothing, options.get()),
          TIFFClose};
}

/// What the fourth byte of libtiff's pixels means.
enum class Alpha { none, straight, premultiplied };

Alpha alpha_of(TIFF* tiff, const TIFFRGBAImage& image) {
  // libtiff takes a fourth channel of unknown meaning, such as infrared, for transparency.
  uint16_t count = 0;
  uint16_t* kinds = nullptr;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &count, &kinds);
  const bool has_alpha = std::any_of(kinds, kinds + count, [](uint16_t kind) {
    return kind == EXTRASAMPLE_ASSOCALPHA || kind == EXTRASAMPLE_UNASSALPHA;
  });
  if (!has_alpha) return Alpha::none;
  // libtiff multiplies colours by the alpha value, but not grey.
  const bool grey =
      image.photometric == PHOTOMETRIC_MINISBLACK || image.photometric == PHOTOMETRIC_MINISWHITE;
  return grey && image.alpha == EXTRASAMPLE_UNASSALPHA ? Alpha::straight : Alpha::premultiplied;
}

/// RGB from RGBA, in place.
void to_rgb(std::vector<uint8_t>& pixels, Alpha alpha) {
  const size_t count = pixels.size() / 4;
  for (size_t i = 0; i < count; ++i)
    for (size_t c = 0; c < 3; ++c) {
      const int value = pixels[4 * i + c], opacity = pixels[4 * i + 3];
      const int shown = alpha == Alpha::none ? value
                        : alpha == Alpha::premultiplied
                            ? value + 255 - opacity
                            : (value * opacity + 255 * (255 - opacity) + 127) / 255;
      pixels[3 * i + c] = static_cast<uint8_t>(std::min(shown, 255));
    }
  pixels.resize(3 * count);
}

/// libtiff's conversion of an image, which it ends.
struct Conversion {
  TIFFRGBAImage image{};
  bool begun = false;
  ~Conversion() {
    if (begun) TIFFRGBAImageEnd(&image);
  }
};

}  // namespace

std::string tiff_version() {
  const std::string text = TIFFGetVersion();  // "LIBTIFF, Version 4.5.0\nCopyright ..."
  const size_t begin = text.find("Version "), end = text.find('\n');
  return begin == std::string::npos ? "libtiff" : "libtiff " + text.substr(begin + 8, end - begin - 8);
}

std::vector<uint8_t> tiff_decode(std::span<const uint8_t> bytes, ImageSize size, const std::string& file) {
  const size_t width = static_cast<size_t>(size.width), height = static_cast<size_t>(size.height);
  Source source{bytes};
  const auto check_done = [&](bool done, const char* reason) {
    check_input(done, "{} cannot be decoded: it is damaged or of an unsupported kind ({}).", file,
                reason[0] != '\0' ? reason : source.fault.data());
  };
  // A strip or tile holds at most 8 bytes per pixel, and tiles may be larger than the image.
  const Tiff tiff = open_tiff(source, 8 * width * height + (uint64_t{16} << 20));
  check_done(tiff != nullptr, "");
  uint32_t found_width = 0, found_height = 0;
  TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &found_width);
  TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &found_height);
  check_input(found_width == width && found_height == height,
              "{} is damaged: two headers disagree about its size.", file);

  std::array<char, 1024> reason{};
  Conversion conversion;
  TIFFRGBAImage& image = conversion.image;
  conversion.begun = TIFFRGBAImageBegin(&image, tiff.get(), 1, reason.data()) != 0;
  check_done(conversion.begun, reason.data());
  image.req_orientation = image.orientation;  // as stored
  if (image.Bitdepth16To8)                    // the high byte, as for other formats, not the nearest value
    for (int value = 0; value < 65536; ++value) image.Bitdepth16To8[value] = static_cast<uint8_t>(value >> 8);
  // libtiff packs a pixel into a number with red in its lowest byte.
  static_assert(std::endian::native == std::endian::little);
  std::vector<uint8_t> pixels(4 * width * height);
  const int done =
      TIFFRGBAImageGet(&image, reinterpret_cast<uint32_t*>(pixels.data()), found_width, found_height);
  check_done(done != 0 && source.fault[0] == '\0', "");
  to_rgb(pixels, alpha_of(tiff.get(), image));
  return pixels;
}

}  // namespace rcnn
