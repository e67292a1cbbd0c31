#include "data/image.h"

#include <fstream>

#include "data/files.h"
#include "tests/data/fixtures.h"
#include "tests/data/jpeg_samples.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

/// Writes the bytes as `name`, reads them as an image and returns the error message, which must name the
/// file.
std::string failure_of(const std::string& name, const std::vector<uint8_t>& bytes,
                       const ImageLimits& limits = {}) {
  const TemporaryFolder folder;
  write_bytes(folder / name, bytes);
  const std::string sentence = input_error([&] { read_image(folder / name, limits); });
  CHECK(contains(sentence, name));
  CHECK(sentence.back() == '.');
  return sentence;
}

Image read_back(const std::vector<uint8_t>& bytes) {
  const TemporaryFolder folder;
  write_bytes(folder / "image", bytes);
  const Image image = read_image(folder / "image");
  CHECK(read_image_size(folder / "image") == ImageSize{image.width, image.height});
  return image;
}

std::vector<uint8_t> first_part(std::vector<uint8_t> bytes, size_t count) {
  bytes.resize(count);
  return bytes;
}

/// A baseline JPEG whose header has the given size and number of components.
std::vector<uint8_t> jpeg_with_frame(uint32_t width, uint32_t height, uint8_t components) {
  std::vector<uint8_t> jpeg = stb_jpeg(smooth_image(16, 16));
  const size_t frame = find_marker(jpeg, 0xC0);
  std::vector<uint8_t> header = {0xFF, 0xC0};
  append_big_endian(header, 8 + 3u * components, 2);
  header.push_back(8);
  append_big_endian(header, height, 2);
  append_big_endian(header, width, 2);
  header.push_back(components);
  for (uint8_t i = 0; i < components; ++i)
    header.insert(header.end(), {static_cast<uint8_t>(i + 1), 0x11, 0});
  jpeg.erase(jpeg.begin() + static_cast<ptrdiff_t>(frame), jpeg.begin() + static_cast<ptrdiff_t>(frame) + 19);
  jpeg.insert(jpeg.begin() + static_cast<ptrdiff_t>(frame), header.begin(), header.end());
  return jpeg;
}

using Quarters = std::vector<std::vector<int>>;

/// Checks the colours in the middle of the quarters: top left, top right, bottom left, bottom right.
void check_quarters(std::string_view hexadecimal, const Quarters& expected) {
  const Image image = read_back(from_hexadecimal(hexadecimal));
  REQUIRE(image.width == 16);
  REQUIRE(image.height == 16);
  for (int quarter = 0; quarter < 4; ++quarter)
    for (int c = 0; c < 3; ++c) {
      const int found = image.pixel(4 + 8 * (quarter % 2), 4 + 8 * (quarter / 2))[c];
      INFO("quarter ", quarter, ", channel ", c);
      CHECK(std::abs(found - expected[static_cast<size_t>(quarter)][static_cast<size_t>(c)]) <= 2);
    }
}

}  // namespace

TEST_CASE("image: a PNG is read back byte for byte") {
  const TemporaryFolder folder;
  const Image image = random_image(37, 23);
  write_png(folder / "a.png", image);
  const Image back = read_image(folder / "a.png");
  CHECK(back.width == 37);
  CHECK(back.height == 23);
  CHECK(back.rgb == image.rgb);
  CHECK(read_image_size(folder / "a.png") == ImageSize{37, 23});
}

TEST_CASE("image: a JPEG is read back approximately") {
  const Image image = smooth_image(50, 34);
  const Image back = read_back(stb_jpeg(image));
  REQUIRE(back.rgb.size() == image.rgb.size());
  int worst = 0;
  for (size_t i = 0; i < image.rgb.size(); ++i) worst = std::max(worst, std::abs(image.rgb[i] - back.rgb[i]));
  CHECK(worst <= 12);
}

TEST_CASE("image: the content decides the format, not the name") {
  const TemporaryFolder folder;
  write_bytes(folder / "really_a_png.jpg", encode_png(random_image(5, 4)));
  CHECK(read_image(folder / "really_a_png.jpg").rgb == random_image(5, 4).rgb);
}

TEST_CASE("image: greyscale becomes RGB") {
  const Image png = read_back(encode_raw_png({.width = 2, .colour_type = 0, .rows = {0, 10, 200}}));
  CHECK(png.rgb == std::vector<uint8_t>{10, 10, 10, 200, 200, 200});
}

TEST_CASE("image: greyscale with transparency is blended over white") {
  const Image image =
      read_back(encode_raw_png({.width = 3, .colour_type = 4, .rows = {0, 9, 0, 100, 128, 7, 255}}));
  CHECK(image.rgb == std::vector<uint8_t>{255, 255, 255, 177, 177, 177, 7, 7, 7});
}

TEST_CASE("image: an interlaced PNG") {
  // Adam7 of 3 x 2: (0, 0) in pass 1, (2, 0) in 4, (1, 0) in 6, the second row in 7.
  const Image image = read_back(encode_raw_png(
      {.width = 3, .height = 2, .colour_type = 0, .rows = {0, 1, 0, 3, 0, 2, 0, 4, 5, 6}, .interlace = 1}));
  CHECK(image.rgb == std::vector<uint8_t>{1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6});
}

TEST_CASE("image: 16 bits per channel become the high 8") {
  const Image image =
      read_back(encode_raw_png({.depth = 16, .rows = {0, 0x12, 0xFF, 0x80, 0x00, 0xFE, 0x01}}));
  CHECK(image.rgb == std::vector<uint8_t>{0x12, 0x80, 0xFE});
}

TEST_CASE("image: a palette is looked up, with its transparency over white") {
  const Image image = read_back(encode_raw_png({.width = 2,
                                                .colour_type = 3,
                                                .rows = {0, 1, 0},
                                                .palette = {1, 2, 3, 40, 50, 60},
                                                .transparency = {0, 255}}));
  CHECK(image.rgb == std::vector<uint8_t>{40, 50, 60, 255, 255, 255});
}

TEST_CASE("image: transparency is blended over white") {
  const Image image = read_back(encode_raw_png(
      {.width = 3, .colour_type = 6, .rows = {0, 9, 9, 9, 0, 100, 0, 255, 128, 1, 2, 3, 255}}));
  CHECK(image.rgb == std::vector<uint8_t>{255, 255, 255, 177, 127, 255, 1, 2, 3});
}

TEST_CASE("image: a missing file and a folder") {
  const TemporaryFolder folder;
  const std::string missing = input_error([&] { read_image(folder / "nowhere.jpg"); });
  CHECK(contains(missing, "nowhere.jpg"));
  CHECK(contains(missing, "does not exist"));
  CHECK(contains(input_error([&] { read_image_size(folder.path()); }), "not a regular file"));
}

TEST_CASE("image: an empty file") { CHECK(contains(failure_of("void.png", {}), "is empty")); }

TEST_CASE("image: another format") {
  const std::string text = "GIF89a and so on";
  CHECK(
      contains(failure_of("a.jpg", {text.begin(), text.end()}), "not a JPEG, PNG, BMP, WebP or TIFF image"));
  CHECK(contains(failure_of("b.jpg", {0xFF}), "not a JPEG, PNG, BMP, WebP or TIFF image"));
}

TEST_CASE("image: a JPEG that is cut off anywhere is reported as truncated") {
  const std::vector<uint8_t> jpeg = stb_jpeg(random_image(40, 40));
  for (const size_t count :
       {size_t{4}, find_marker(jpeg, 0xC0) + 6, find_marker(jpeg, 0xDA), jpeg.size() / 2, jpeg.size() - 8})
    CHECK(contains(failure_of("cut.jpg", first_part(jpeg, count)), "truncated"));
}

TEST_CASE("image: a JPEG that lacks only its end marker is read") {
  std::vector<std::vector<uint8_t>> files = {stb_jpeg(random_image(40, 40)),
                                             stb_jpeg(random_image(33, 21), true)};
  for (const std::string_view sample : {kProgressiveGrey, kProgressiveColour, kCmyk, kProgressiveYcck})
    files.push_back(from_hexadecimal(sample));
  for (const std::vector<uint8_t>& jpeg : files)
    for (const size_t missing : {1, 2}) {
      const std::vector<uint8_t> cut = first_part(jpeg, jpeg.size() - missing);
      if (jpeg_library() == "stb_image")  // cannot tell whether pixels are missing
        CHECK(contains(failure_of("cut.jpg", cut), "truncated"));
      else
        CHECK(read_back(cut).rgb == read_back(jpeg).rgb);
    }
}

TEST_CASE("image: a progressive JPEG that is cut off between two scans is truncated") {
  for (const std::string_view sample : {kProgressiveGrey, kProgressiveColour}) {
    const std::vector<uint8_t> jpeg = from_hexadecimal(sample);
    size_t last_table = 0;  // the marker before the last scan
    for (size_t i = 0; i + 1 < jpeg.size(); ++i)
      if (jpeg[i] == 0xFF && jpeg[i + 1] == 0xC4) last_table = i;
    CHECK(contains(failure_of("cut.jpg", first_part(jpeg, last_table)), "truncated"));
  }
}

namespace {

/// A BMP of the image. `height` below 0: the rows go from top to bottom.
std::vector<uint8_t> bmp_of(const Image& image, uint32_t bits, bool top_down, bool old_header = false) {
  std::vector<uint8_t> bmp = {'B', 'M'};
  const auto add = [&](uint32_t value, int count) { append_number(bmp, value, count, false); };
  const uint32_t header = old_header ? 12 : 40, bytes = bits / 8;
  add(0, 4), add(0, 4), add(14 + header, 4), add(header, 4);
  const auto height = static_cast<uint32_t>(top_down ? -image.height : image.height);
  add(static_cast<uint32_t>(image.width), old_header ? 2 : 4), add(height, old_header ? 2 : 4);
  add(1, 2), add(bits, 2);
  if (!old_header) bmp.resize(14 + header);
  for (int i = 0; i < image.height; ++i) {
    const int y = top_down ? i : image.height - 1 - i;
    for (int x = 0; x < image.width; ++x) {
      const uint8_t* rgb = image.pixel(x, y);
      bmp.insert(bmp.end(), {rgb[2], rgb[1], rgb[0]});
      if (bytes == 4) bmp.push_back(static_cast<uint8_t>(7 * x));  // not meant as transparency
    }
    while ((bmp.size() - 14 - header) % 4 != 0) bmp.push_back(0);
  }
  return bmp;
}

}  // namespace

TEST_CASE("image: BMP of 24 and 32 bits, in either direction, with the old header, and with a palette") {
  const Image image = random_image(13, 7);
  CHECK(read_back(bmp_of(image, 24, false)).rgb == image.rgb);
  CHECK(read_back(bmp_of(image, 24, true)).rgb == image.rgb);
  CHECK(read_back(bmp_of(image, 32, false)).rgb == image.rgb);
  CHECK(read_back(bmp_of(image, 24, false, true)).rgb == image.rgb);

  std::vector<uint8_t> palette = bmp_of(Image(2, 1), 24, false);
  palette[28] = 8;            // bits per pixel
  palette[10] = 14 + 40 + 8;  // where the pixels begin
  palette[46] = 2;            // colours
  palette.resize(54);
  palette.insert(palette.end(), {10, 20, 30, 0, 40, 50, 60, 0, 1, 0, 0, 0});
  CHECK(read_back(palette).rgb == std::vector<uint8_t>{60, 50, 40, 30, 20, 10});
}

TEST_CASE("image: a BMP that is cut off anywhere, claims too much or is of a rare kind is refused") {
  const std::vector<uint8_t> bmp = bmp_of(random_image(13, 7), 24, false);
  for (const size_t count : {size_t{2}, size_t{29}, size_t{54}, bmp.size() / 2, bmp.size() - 1})
    CHECK(contains(failure_of("cut.bmp", first_part(bmp, count)), "truncated"));
  std::vector<uint8_t> large = bmp;
  large[21] = 0x7F;  // the highest byte of the width
  CHECK(contains(failure_of("large.bmp", large), "too large"));
  large[25] = large[24] = large[23] = 0, large[22] = 0;
  CHECK(contains(failure_of("flat.bmp", large), "no pixels"));
  std::vector<uint8_t> packed = bmp;
  packed[30] = 1;  // run lengths
  CHECK(contains(failure_of("packed.bmp", packed), "cannot be decoded"));
}

TEST_CASE("image: the end marker of a thumbnail is not that of the photograph") {
  const std::vector<uint8_t> thumbnail = stb_jpeg(random_image(8, 8));
  const std::vector<uint8_t> jpeg = with_segment(stb_jpeg(random_image(40, 30)), 0xE1, "", thumbnail);
  const Image image = read_back(jpeg);
  CHECK(image.width == 40);
  CHECK(contains(failure_of("cut.jpg", first_part(jpeg, jpeg.size() - 10)), "truncated"));
}

TEST_CASE("image: the size is found after a header of any length") {
  std::vector<uint8_t> jpeg = stb_jpeg(random_image(24, 18));
  std::vector<uint8_t> profile;
  for (int i = 0; i < 3; ++i) {
    profile.insert(profile.end(), {0xFF, 0xE2});
    append_big_endian(profile, 60000, 2);
    profile.resize(profile.size() + 59998);
  }
  jpeg.insert(jpeg.begin() + 2, profile.begin(), profile.end());
  CHECK(read_back(jpeg).width == 24);
}

TEST_CASE("image: a PNG that is cut off anywhere is reported as truncated") {
  const std::vector<uint8_t> png = encode_png(random_image(40, 40));
  for (const size_t count :
       {size_t{8}, size_t{20}, size_t{40}, png.size() / 2, png.size() - 12, png.size() - 5})
    CHECK(contains(failure_of("cut.png", first_part(png, count)), "truncated"));
}

TEST_CASE("image: a file that is damaged inside") {
  std::vector<uint8_t> png = encode_png(random_image(40, 40));
  for (size_t i = 43; i < 120; ++i) png[i] = 0xFF;
  CHECK(contains(failure_of("bad.png", png), "cannot be decoded"));
}

TEST_CASE("image: a Huffman table that claims too many symbols is refused before decoding") {
  std::vector<uint8_t> jpeg = stb_jpeg(random_image(16, 16));
  const size_t table = find_marker(jpeg, 0xC4) + 4;
  for (size_t length = 1; length <= 16; ++length) jpeg[table + length] = 255;
  CHECK(contains(failure_of("bad.jpg", jpeg), "more than 256 symbols"));
  // A second table that starts in the last byte of the segment, near the end of the file.
  jpeg = stb_jpeg(random_image(16, 16));
  jpeg.resize(jpeg.size() - 2);
  jpeg.insert(jpeg.end(), {0xFF, 0xC4, 0, 20});
  jpeg.resize(jpeg.size() + 18);
  jpeg.insert(jpeg.end(), {200, 200, 0xFF, 0xD9});
  CHECK(contains(failure_of("late.jpg", jpeg), "more than 256 symbols"));
}

TEST_CASE("image: a header that claims too much is refused before decoding") {
  CHECK(contains(failure_of("a.png", encode_raw_png({.width = 100000, .height = 2})), "100000 x 2"));
  CHECK(contains(failure_of("b.png", encode_raw_png({.width = 30000, .height = 30000})), "too large"));
  CHECK(contains(failure_of("c.png", encode_raw_png({.width = 0xFFFFFFFF, .height = 0xFFFFFFFF})),
                 "too large"));
  CHECK(contains(failure_of("d.jpg", jpeg_with_frame(65535, 65535, 3)), "65535 x 65535"));
  CHECK(contains(failure_of("e.png", encode_png(random_image(20, 10)), {.max_side = 19}), "too large"));
  CHECK(contains(failure_of("f.png", encode_png(random_image(20, 10)), {.max_pixels = 199}), "too large"));
  CHECK(contains(failure_of("g.png", encode_raw_png({.width = 0, .height = 5})), "no pixels"));
}

TEST_CASE("image: limits are inclusive") {
  const TemporaryFolder folder;
  write_png(folder / "a.png", random_image(20, 10));
  CHECK(read_image(folder / "a.png", {.max_side = 20, .max_pixels = 200}).width == 20);
}

TEST_CASE("image: every kind of JPEG") {
  check_quarters(kProgressiveGrey, {{40, 40, 40}, {90, 90, 90}, {140, 140, 140}, {190, 190, 190}});
  check_quarters(kProgressiveColour, {{250, 20, 30}, {30, 200, 60}, {40, 60, 220}, {240, 230, 40}});
  // (255 - ink) (255 - black) / 255
  const Quarters inks = {{255, 0, 0}, {49, 190, 216}, {55, 55, 55}, {235, 255, 15}};
  check_quarters(kCmyk, inks);
  check_quarters(kYcck, inks);
  check_quarters(kProgressiveYcck, inks);
}

TEST_CASE("image: a greyscale JPEG has three equal channels") {
  const Image image = read_back(stb_jpeg(smooth_image(20, 10), true));
  for (size_t i = 0; i < image.rgb.size(); i += 3) {
    CHECK(image.rgb[i] == image.rgb[i + 1]);
    CHECK(image.rgb[i] == image.rgb[i + 2]);
  }
}

TEST_CASE("image: a JPEG with four colours and without Adobe's marker is refused") {
  CHECK(contains(failure_of("print.jpg", jpeg_with_frame(16, 16, 4)), "Adobe"));
  const TemporaryFolder folder;
  write_bytes(folder / "print.jpg", jpeg_with_frame(16, 16, 4));
  CHECK(contains(input_error([&] { read_image_size(folder / "print.jpg"); }), "Adobe"));
}

TEST_CASE("image: writing into a missing folder is an error that names the file") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(write_png(folder / "no/a.png", random_image(2, 2)), doctest::Contains("no/a.png"),
                       Error);
}

TEST_CASE("image: encode_png refuses an image without pixels, or with too few bytes") {
  CHECK_THROWS_AS(encode_png(Image{}), Error);
  Image image = random_image(4, 4);
  image.rgb.pop_back();
  CHECK_THROWS_AS(encode_png(image), Error);
}

TEST_CASE("files: with a limit only the beginning is read") {
  const TemporaryFolder folder;
  write_text(folder / "a", "0123456789");
  CHECK(read_file(folder / "a", 4) == std::vector<uint8_t>{'0', '1', '2', '3'});
  CHECK(read_file(folder / "a").size() == 10);
}
