#include "data/codecs.h"

#include <cmath>

#include "core/files/sha256.h"
#include "tests/data/fixtures.h"
#include "tests/data/jpeg_by_pil.h"
#include "tests/data/jpeg_samples.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

const JpegLibrary& stb() { return jpeg_libraries().back(); }

/// libjpeg-turbo, or null in a build without it.
const JpegLibrary* turbo() {
  const JpegLibrary& first = jpeg_libraries().front();
  if (first.name.starts_with("libjpeg-turbo")) return &first;
  MESSAGE("skipped: this build has no libjpeg-turbo");
  return nullptr;
}

std::string digest(const std::vector<uint8_t>& bytes) { return sha256_hex(std::as_bytes(std::span(bytes))); }

int largest_difference(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  REQUIRE(a.size() == b.size());
  int largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

/// Where the coded pixels begin in a JPEG in colour with one scan.
ptrdiff_t find_pixels(const std::vector<uint8_t>& jpeg) {
  return static_cast<ptrdiff_t>(find_marker(jpeg, 0xDA)) + 14;
}

/// The error message for a damaged JPEG of 40 x 40 pixels; empty if it is decoded.
std::string fault_of(const JpegLibrary& library, const std::vector<uint8_t>& jpeg) {
  size_t bytes = 0;
  try {
    bytes = library.decode(jpeg, {40, 40}, "bad.jpg").size();
  } catch (const InputError& error) {
    return error.what();
  }
  CHECK(bytes == 40 * 40 * 3);
  return {};
}

}  // namespace

TEST_CASE("JPEG: libjpeg-turbo gives the pixels that PIL gives, to the last bit") {
  const JpegLibrary* library = turbo();
  if (!library) return;
  for (const JpegByPil& sample : kJpegByPil) {
    CAPTURE(sample.kind);
    const auto rgb =
        library->decode(from_hexadecimal(sample.file), {kWidthByPil, kHeightByPil}, "sample.jpg");
    REQUIRE(rgb.size() == size_t{3} * kWidthByPil * kHeightByPil);
    CHECK(digest(rgb) == sample.sha256);
  }
}

TEST_CASE("JPEG: read_image uses the first library of the build, also for a turned image") {
  const TemporaryFolder folder;
  for (const JpegByPil& sample : kJpegByPil) {
    CAPTURE(sample.kind);
    const auto file = from_hexadecimal(sample.file);
    write_bytes(folder / "a.jpg", file);
    const auto rgb = jpeg_libraries().front().decode(file, {kWidthByPil, kHeightByPil}, "a.jpg");
    CHECK(read_image(folder / "a.jpg").rgb == rgb);
    write_bytes(folder / "b.jpg", with_orientation(file, 3));  // by 180 degrees
    const Image turned = read_image(folder / "b.jpg");
    for (size_t i = 0; i < rgb.size(); i += 3)
      CHECK(std::equal(rgb.begin() + static_cast<ptrdiff_t>(i), rgb.begin() + static_cast<ptrdiff_t>(i) + 3,
                       turned.rgb.end() - static_cast<ptrdiff_t>(i) - 3));
  }
  CHECK(jpeg_library() == jpeg_libraries().front().name);
}

// Measured on these samples: at most 3, on average .01 (CMYK) to .1. In the last two columns of 4:2:2 the
// difference is up to 82, because stb_image weighs the wrong neighbour there. On photographs see
// docs/manual.md.
TEST_CASE("JPEG: stb_image differs from libjpeg-turbo by a few steps") {
  const JpegLibrary* library = turbo();
  if (!library) return;
  for (const JpegByPil& sample : kJpegByPil) {
    CAPTURE(sample.kind);
    const auto file = from_hexadecimal(sample.file);
    const ImageSize size{kWidthByPil, kHeightByPil};
    const auto a = library->decode(file, size, "a"), b = stb().decode(file, size, "a");
    REQUIRE(a.size() == b.size());
    const size_t row = 3 * kWidthByPil, compared = sample.kind == "4:2:2" ? row - 6 : row;
    for (size_t i = 0; i < a.size(); i += row)
      CHECK(largest_difference({&a[i], &a[i] + compared}, {&b[i], &b[i] + compared}) <= 3);
  }
}

TEST_CASE("JPEG: what is encoded is read back, and colour keeps its full resolution above a quality of 90") {
  const Image smooth = smooth_image(53, 31), noise = random_image(53, 31);
  for (const JpegLibrary& library : jpeg_libraries()) {
    CAPTURE(library.name);
    const auto back = [&](const Image& image, int quality) {
      return library.decode(library.encode(image, quality), {53, 31}, "a.jpg");
    };
    CHECK(largest_difference(back(smooth, kJpegQuality), smooth.rgb) <= 6);
    const auto sampling = [&](int quality) {  // of luminance: 1 x 1, or 2 x 2 for halved colour
      const auto jpeg = library.encode(noise, quality);
      return jpeg[find_marker(jpeg, 0xC0) + 11];
    };
    CHECK(sampling(91) == 0x11);
    CHECK(sampling(90) == 0x22);
    CHECK(library.encode(noise, 95).size() > library.encode(noise, 50).size());
  }
  // More than one buffer of libjpeg's output.
  const Image large = random_image(400, 300);
  const auto jpeg = encode_jpeg(large, 100);
  CHECK(jpeg.size() > 200'000);
  const TemporaryFolder folder;
  write_bytes(folder / "large.jpg", jpeg);
  CHECK(largest_difference(read_image(folder / "large.jpg").rgb, large.rgb) <= 4);
}

TEST_CASE("JPEG: damage is an error that names the file") {
  const std::vector<uint8_t> good = stb_jpeg(random_image(40, 40));
  const std::string_view cannot = "bad.jpg cannot be decoded: it is damaged or of an unsupported kind (";
  for (const JpegLibrary& library : jpeg_libraries()) {
    CAPTURE(library.name);
    CHECK(fault_of(library, good).empty());
    CHECK(contains(input_error([&] {
                     library.decode(good, {40, 39}, "bad.jpg");
                   }),
                   "bad.jpg is damaged: two headers disagree about its size."));

    std::vector<uint8_t> jpeg = good;  // a code of ones only, which no table may contain
    for (ptrdiff_t i = 0; i < 40; ++i)
      jpeg[static_cast<size_t>(find_pixels(jpeg) + 60 + i)] = i % 2 ? 0 : 0xFF;
    CHECK_MESSAGE(fault_of(library, jpeg).starts_with(cannot), fault_of(library, jpeg));

    jpeg = good;
    jpeg[find_marker(jpeg, 0xC0) + 4] = 12;  // bits per sample
    CHECK_MESSAGE(fault_of(library, jpeg).starts_with(cannot), fault_of(library, jpeg));

    jpeg = good;
    jpeg.erase(jpeg.begin() + find_pixels(jpeg) + 500, jpeg.end() - 2);  // the end marker stays
    if (&library == &stb())
      CHECK(fault_of(library, jpeg).empty());  // stb_image fills it up
    else
      CHECK(fault_of(library, jpeg) ==
            std::string(cannot) + "Corrupt JPEG data: premature end of data segment).");

    CHECK(fault_of(library, {good.begin(), good.begin() + 30}).starts_with(cannot));
  }
}

TEST_CASE("JPEG: superfluous bytes before a marker, which many cameras write, are no damage") {
  const std::vector<uint8_t> good = stb_jpeg(random_image(40, 40));
  std::vector<uint8_t> jpeg = good;
  jpeg.insert(jpeg.end() - 2, {0, 0, 0});
  for (const JpegLibrary& library : jpeg_libraries()) {
    CAPTURE(library.name);
    CHECK(library.decode(jpeg, {40, 40}, "a.jpg") == library.decode(good, {40, 40}, "a.jpg"));
  }
}

TEST_CASE("JPEG: encode_jpeg refuses an image without pixels, or with too few bytes") {
  CHECK_THROWS_AS(encode_jpeg(Image{}), Error);
  Image image = random_image(4, 4);
  image.rgb.pop_back();
  CHECK_THROWS_AS(encode_jpeg(image), Error);
}

TEST_CASE("JPEG: write_jpeg writes what read_image reads, and names a file that it cannot write") {
  const TemporaryFolder folder;
  const Image image = smooth_image(40, 30);
  write_jpeg(folder / "a.jpg", image);
  CHECK(largest_difference(read_image(folder / "a.jpg").rgb, image.rgb) <= 6);
  CHECK_THROWS_WITH_AS(write_jpeg(folder / "no/a.jpg", image), doctest::Contains("no/a.jpg"), Error);
}
