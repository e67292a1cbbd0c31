// Reading WebP and TIFF images, in builds with and without their libraries.
#include "core/files/sha256.h"
#include "data/codecs.h"
#include "data/image_folder.h"
#include "data/orientation.h"
#include "tests/data/jpeg_samples.h"
#include "tests/data/label_folder.h"
#include "tests/data/raw_tiff.h"
#include "tests/data/webp_tiff_by_pil.h"
#include "tests/program.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Bytes = std::vector<uint8_t>;

bool can_read(ImageFormat format) {
  const FormatLibrary* library = library_for(format);
  if (library->decode) return true;
  MESSAGE("skipped: this build does not read ", std::string(library->format_name));
  return false;
}

Image read_back(const Bytes& bytes) {
  const TemporaryFolder folder;
  write_bytes(folder / "image", bytes);
  const Image image = read_image(folder / "image");
  CHECK(read_image_size(folder / "image") == ImageSize{image.width, image.height});
  return image;
}

/// What reading the bytes fails with. The sentence must name the file.
std::string failure_of(const Bytes& bytes, const ImageLimits& limits = {}) {
  const TemporaryFolder folder;
  write_bytes(folder / "photo.x", bytes);
  const std::string sentence = input_error([&] { read_image(folder / "photo.x", limits); });
  CHECK(contains(sentence, "photo.x"));
  CHECK(sentence.back() == '.');
  return sentence;
}

std::string digest(const Bytes& bytes) { return sha256_hex(std::as_bytes(std::span(bytes))); }

Bytes first_part(Bytes bytes, size_t count) {
  bytes.resize(count);
  return bytes;
}

Bytes tiff_pixels(const RawTiff& tiff) { return read_back(encode_raw_tiff(tiff)).rgb; }

}  // namespace

TEST_CASE("WebP and TIFF: a build without the library says which one, and what to do") {
  const std::pair<ImageFormat, Bytes> files[] = {{ImageFormat::webp, from_hexadecimal(kWebpByPil[0].file)},
                                                 {ImageFormat::tiff, tiff_of(random_image(4, 3))}};
  for (const auto& [format, bytes] : files) {
    const FormatLibrary* library = library_for(format);
    REQUIRE(library != nullptr);
    if (library->decode) {
      CHECK(read_back(bytes).width > 0);
      CHECK(contains(format_library_list(), library->name));
      continue;
    }
    const std::string sentence = failure_of(bytes);
    CHECK(contains(sentence, fmt::format("is a {} image, which this program was built without: install {}",
                                         library->format_name, library->package)));
    CHECK(contains(format_library_list(), fmt::format("no {}", library->format_name)));
    const TemporaryFolder folder;
    write_bytes(folder / "a", bytes);
    CHECK(contains(input_error([&] { read_image_size(folder / "a"); }), "built without"));
  }
  CHECK(library_for(ImageFormat::jpeg) == nullptr);
}

TEST_CASE("WebP: the pixels that PIL gives, with transparency over white, turned as EXIF says") {
  if (!can_read(ImageFormat::webp)) return;
  for (const FileByPil& sample : kWebpByPil) {
    CAPTURE(sample.kind);
    const Image image = read_back(from_hexadecimal(sample.file));
    CHECK(image.width == sample.width);
    CHECK(image.height == sample.height);
    CHECK(digest(image.rgb) == sample.sha256);
  }
}

TEST_CASE(
    "WebP: an EXIF block with the prefix that it has in a JPEG, and one that is announced and missing") {
  if (!can_read(ImageFormat::webp)) return;
  const Bytes turned = from_hexadecimal(kWebpByPil[5].file);
  constexpr std::string_view kName = "EXIF";
  const auto at = std::search(turned.begin(), turned.end(), kName.begin(), kName.end()) - turned.begin();
  REQUIRE(at > 0);
  Bytes prefixed(turned.begin(), turned.begin() + at + 8), block(turned.begin() + at + 8, turned.end());
  prefixed[static_cast<size_t>(at) + 4] = static_cast<uint8_t>(prefixed[static_cast<size_t>(at) + 4] + 6);
  prefixed[4] = static_cast<uint8_t>(prefixed[4] + 6);  // no carry: the file is small and its length even
  for (const char c : std::string_view("Exif\0\0", 6)) prefixed.push_back(static_cast<uint8_t>(c));
  prefixed.insert(prefixed.end(), block.begin(), block.end());
  CHECK(read_back(prefixed).rgb == read_back(turned).rgb);

  Bytes without(turned.begin(), turned.begin() + at);
  const auto length = static_cast<uint32_t>(without.size() - 8);
  without[4] = static_cast<uint8_t>(length), without[5] = static_cast<uint8_t>(length >> 8);
  CHECK(read_back(without).width == 21);
}

TEST_CASE("WebP: a file that is cut off, damaged, an animation or too large is refused") {
  if (!can_read(ImageFormat::webp)) return;
  for (const FileByPil& sample : kWebpByPil) {
    CAPTURE(sample.kind);
    const Bytes file = from_hexadecimal(sample.file);
    for (const size_t count : {size_t{12}, size_t{20}, size_t{29}, file.size() / 2, file.size() - 2})
      CHECK(contains(failure_of(first_part(file, count)), "truncated"));
  }
  Bytes damaged = from_hexadecimal(kWebpByPil[2].file);
  for (size_t i = 26; i < damaged.size(); ++i) damaged[i] = 0xFF;
  CHECK(contains(failure_of(damaged), "cannot be decoded"));
  Bytes shorter = from_hexadecimal(kWebpByPil[0].file);  // the file ends where it says, but too early
  shorter.resize(shorter.size() / 2 / 2 * 2);
  shorter[4] = static_cast<uint8_t>(shorter.size() - 8), shorter[5] = 0;
  CHECK(contains(failure_of(shorter), "cannot be decoded"));
  CHECK(contains(failure_of(from_hexadecimal(kAnimatedWebp)), "is an animation; expected a single image"));
  const Bytes file = from_hexadecimal(kWebpByPil[0].file);
  CHECK(contains(failure_of(file, {.max_side = 20}), "too large: its header says 21 x 13"));
  // A picture of another size than the canvas.
  Bytes canvas = from_hexadecimal(kWebpByPil[3].file);
  canvas[24] = 30;
  CHECK(contains(failure_of(canvas), "damaged"));
}

TEST_CASE("TIFF: the pixels that PIL gives, for every compression") {
  if (!can_read(ImageFormat::tiff)) return;
  for (const FileByPil& sample : kTiffByPil) {
    CAPTURE(sample.kind);
    const Image image = read_back(from_hexadecimal(sample.file));
    CHECK(image.width == sample.width);
    CHECK(image.height == sample.height);
    CHECK(digest(image.rgb) == sample.sha256);
  }
}

TEST_CASE("TIFF: either byte order, large files, and the directory before or after the pixels") {
  if (!can_read(ImageFormat::tiff)) return;
  const Image image = random_image(23, 17);
  for (const bool big_endian : {false, true})
    for (const bool big_file : {false, true})
      for (const bool directory_first : {false, true}) {
        RawTiff tiff{.width = 23, .height = 17, .pixels = image.rgb};
        tiff.big_endian = big_endian, tiff.big_file = big_file, tiff.directory_first = directory_first;
        CHECK(tiff_pixels(tiff) == image.rgb);
      }
  // The directory lies after the bytes that are read first.
  const Image large = random_image(300, 200);
  CHECK(read_back(tiff_of(large)).rgb == large.rgb);
}

TEST_CASE("TIFF: grey, palettes and CMYK become RGB, and 16 bits the high 8") {
  if (!can_read(ImageFormat::tiff)) return;
  CHECK(tiff_pixels({.width = 2, .samples = 1, .photometric = 1, .pixels = {10, 200}}) ==
        Bytes{10, 10, 10, 200, 200, 200});
  CHECK(tiff_pixels({.width = 2, .samples = 1, .photometric = 0, .pixels = {10, 200}}) ==
        Bytes{245, 245, 245, 55, 55, 55});
  CHECK(tiff_pixels({.width = 9, .bits = 1, .samples = 1, .photometric = 1, .pixels = {0x40, 0x80}}) ==
        Bytes{0, 0, 0, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255});
  CHECK(tiff_pixels(
            {.width = 2, .bits = 16, .samples = 1, .photometric = 1, .pixels = {0xFF, 0x12, 0, 0x80}}) ==
        Bytes{0x12, 0x12, 0x12, 0x80, 0x80, 0x80});
  CHECK(tiff_pixels({.bits = 16, .pixels = {0xFF, 0x12, 0x00, 0x80, 0x01, 0xFE}}) == Bytes{0x12, 0x80, 0xFE});
  std::vector<uint32_t> palette(3 * 256);
  palette[1] = 0x2828, palette[256 + 1] = 0x3232, palette[512 + 1] = 0x3C3C;
  CHECK(tiff_pixels({.width = 2, .samples = 1, .photometric = 3, .pixels = {1, 0}, .palette = palette}) ==
        Bytes{40, 50, 60, 0, 0, 0});
  CHECK(tiff_pixels({.samples = 4, .photometric = 5, .pixels = {255, 0, 51, 0}}) == Bytes{0, 255, 204});
}

TEST_CASE("TIFF: transparency is blended over white, and a fourth band of another meaning is ignored") {
  if (!can_read(ImageFormat::tiff)) return;
  const RawTiff straight{
      .width = 3, .samples = 4, .pixels = {9, 9, 9, 0, 100, 0, 255, 128, 1, 2, 3, 255}, .extra = {2}};
  CHECK(tiff_pixels(straight) == Bytes{255, 255, 255, 177, 127, 255, 1, 2, 3});
  RawTiff premultiplied = straight;
  premultiplied.extra = {1};
  premultiplied.pixels = {0, 0, 0, 0, 50, 0, 128, 128, 1, 2, 3, 255};
  CHECK(tiff_pixels(premultiplied) == Bytes{255, 255, 255, 177, 127, 255, 1, 2, 3});
  RawTiff infrared = straight;
  infrared.extra = {0};
  CHECK(tiff_pixels(infrared) == Bytes{9, 9, 9, 100, 0, 255, 1, 2, 3});
  CHECK(
      tiff_pixels({.width = 2, .samples = 2, .photometric = 1, .pixels = {100, 128, 7, 255}, .extra = {2}}) ==
      Bytes{177, 177, 177, 7, 7, 7});
}

TEST_CASE("TIFF: it is turned as its orientation says") {
  if (!can_read(ImageFormat::tiff)) return;
  const Image stored = random_image(7, 4);
  for (uint32_t orientation = 1; orientation <= 8; ++orientation) {
    CAPTURE(orientation);
    const Image seen = turn_image(stored, static_cast<int>(orientation)),
                found = read_back(tiff_of(stored, orientation));
    CHECK(found.width == seen.width);
    CHECK(found.rgb == seen.rgb);
  }
  CHECK(read_back(tiff_of(stored, 9)).rgb == stored.rgb);
}

TEST_CASE("TIFF: of several pages the first is read, also if the list of pages has no end") {
  if (!can_read(ImageFormat::tiff)) return;
  const Image image = random_image(5, 4);
  RawTiff tiff{.width = 5, .height = 4, .pixels = image.rgb};
  tiff.next_directory = 8 + static_cast<uint32_t>(image.rgb.size());  // itself
  CHECK(tiff_pixels(tiff) == image.rgb);
  tiff.next_directory = 1u << 30;
  CHECK(tiff_pixels(tiff) == image.rgb);
}

TEST_CASE("TIFF: a file that is cut off, claims much or is of a rare kind is refused") {
  if (!can_read(ImageFormat::tiff)) return;
  const Image image = random_image(40, 30);
  RawTiff tiff{.width = 40, .height = 30, .pixels = image.rgb};
  const Bytes after = encode_raw_tiff(tiff);
  for (const size_t count : {size_t{4}, size_t{7}, size_t{100}, after.size() / 2, after.size() - 40})
    CHECK(contains(failure_of(first_part(after, count)), "truncated"));
  tiff.directory_first = true;
  const Bytes before = encode_raw_tiff(tiff);
  CHECK(contains(failure_of(first_part(before, before.size() / 2)), "cannot be decoded"));
  tiff.strip_bytes = 0x7FFFFFFF;  // libtiff then computes it
  CHECK(tiff_pixels(tiff) == image.rgb);

  CHECK(contains(failure_of(encode_raw_tiff({.width = 100000, .height = 2})), "says 100000 x 2 pixels"));
  CHECK(contains(failure_of(encode_raw_tiff({.width = 0xFFFFFFFF, .height = 0xFFFFFFFF})), "too large"));
  CHECK(contains(failure_of(encode_raw_tiff({.width = 0, .height = 5})), "no pixels"));
  CHECK(contains(failure_of(encode_raw_tiff({.width = 3000, .height = 2000})), "cannot be decoded"));
  const std::string rare = failure_of(encode_raw_tiff(
      {.bits = 32, .samples = 1, .photometric = 1, .pixels = {0, 0, 128, 63}, .sample_format = 3}));
  CHECK(contains(rare, "unsupported kind (Sorry, can not handle images with 32-bit samples)"));
}

TEST_CASE("TIFF: no byte of a small file, whatever its value, does more than refuse it") {
  if (!can_read(ImageFormat::tiff)) return;
  const TemporaryFolder folder;
  const Bytes file =
      encode_raw_tiff({.width = 3, .height = 2, .samples = 4, .pixels = Bytes(24, 9), .extra = {2}});
  size_t read = 0;
  for (size_t i = 2; i < file.size(); ++i)
    for (const uint8_t value : Bytes{0x00, 0x01, 0x7F, 0xFF}) {
      Bytes changed = file;
      changed[i] = value;
      write_bytes(folder / "a", changed);
      try {
        const Image image = read_image(folder / "a", {.max_side = 1000});
        read += image.rgb.size() == size_t{3} * image.width * image.height ? 1 : 0;
      } catch (const InputError&) {
      }
    }
  CHECK(read > 100);
}

TEST_CASE("WebP and TIFF: a folder of labelled images, and nothing from the libraries on the error stream") {
  if (!can_read(ImageFormat::webp) || !can_read(ImageFormat::tiff)) return;
  CHECK(has_image_extension("a.WebP"));
  CHECK(has_image_extension("a.tif"));
  CHECK(has_image_extension("a.tiff"));
  const LabelFolder in;
  const Bytes webp = from_hexadecimal(kWebpByPil[5].file);  // 13 x 21 as seen
  write_bytes(in.folder / "a.webp", webp);
  RawTiff tiff{.width = 4, .height = 2, .pixels = Bytes(24, 100), .orientation = 6, .odd_tag = 65000};
  write_bytes(in.folder / "b.tif", encode_raw_tiff(tiff));
  tiff.directory_first = true;
  const Bytes whole = encode_raw_tiff(tiff);
  write_bytes(in.folder / "c.tiff", first_part(whole, whole.size() - 20));
  for (const char* name : {"a.txt", "b.txt", "c.txt"}) in.text(name, "0 0.5 0.5 0.5 0.5\n");
  in.text("classes.txt", "cat\n");
  const Dataset data = in.read();
  REQUIRE(data.samples.size() == 3);
  CHECK(data.samples[0].width == 13);
  CHECK(data.samples[1].width == 2);
  CHECK(data.samples[1].height == 4);

  const ProgramTrial trial;
  if (!trial) return;
  const Finished result = trial.run({"data", "draw", in.folder.path().string(), "--out", trial.path("out")});
  CHECK(result.status == 2);
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 2);  // c.tiff, and the sum
  CHECK(contains(result.err, "c.tiff cannot be decoded"));
  CHECK(std::filesystem::exists(trial.folder / "out/a.jpg"));
  CHECK(std::filesystem::exists(trial.folder / "out/b.jpg"));
}
