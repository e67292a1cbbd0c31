// Files of few bytes that ask for much memory or time are refused before either is spent.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <chrono>

#include "data/coco.h"
#include "data/image.h"
#include "tests/data/fixtures.h"
#include "tests/program.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

std::string refusal(const fs::path& path) {
  return input_error([&] { read_image(path); });
}

/// A PNG that claims this size in a file of about so many bytes. Its pixels are no zlib stream: a decoder
/// that is asked says so.
std::vector<uint8_t> claiming_png(uint32_t width, uint32_t height, size_t bytes) {
  std::vector<uint8_t> png = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  const auto add = [&](const std::string& type, const std::vector<uint8_t>& content) {
    append_big_endian(png, static_cast<uint32_t>(content.size()));
    png.insert(png.end(), type.begin(), type.end());
    png.insert(png.end(), content.begin(), content.end());
    append_big_endian(png, 0);  // the checksum, which is not compared
  };
  std::vector<uint8_t> header;
  append_big_endian(header, width);
  append_big_endian(header, height);
  header.insert(header.end(), {8, 0, 0, 0, 0});
  add("IHDR", header);
  add("IDAT", std::vector<uint8_t>(bytes));
  add("IEND", {});
  return png;
}

/// A JPEG whose header says this size and that has `scans` scans, of which all but the first are empty.
std::vector<uint8_t> scanning_jpeg(uint32_t side, size_t scans) {
  std::vector<uint8_t> jpeg = stb_jpeg(smooth_image(64, 64));
  const size_t frame = find_marker(jpeg, 0xC0);
  for (const size_t at : {frame + 5, frame + 7}) {
    jpeg[at] = static_cast<uint8_t>(side >> 8);
    jpeg[at + 1] = static_cast<uint8_t>(side);
  }
  const size_t scan = find_marker(jpeg, 0xDA);
  const std::vector<uint8_t> segment(jpeg.begin() + static_cast<ptrdiff_t>(scan),
                                     jpeg.begin() + static_cast<ptrdiff_t>(scan) + 14);
  for (size_t i = 1; i < scans; ++i) jpeg.insert(jpeg.end() - 2, segment.begin(), segment.end());
  return jpeg;
}

std::string coco_with(size_t categories, const std::string& name) {
  std::string list;
  for (size_t i = 0; i < categories; ++i)
    list += fmt::format(R"({}{{"id":{},"name":"{}{}"}})", i ? "," : "", i + 1, name, i);
  return fmt::format(
      R"({{"images":[{{"id":1,"file_name":"a.jpg"}}],"annotations":[{{"id":1,"image_id":1,"category_id":1,)"
      R"("bbox":[1,1,9,9]}}],"categories":[{}]}})",
      list);
}

}  // namespace

TEST_CASE("costs: an image of many pixels needs a file of many bytes") {
  const TemporaryFolder folder;
  const fs::path path = folder / "a.png";
  write_bytes(path, claiming_png(14000, 14000, 600'000));
  CHECK(contains(refusal(path), "too large for its 600057 bytes: its header says 14000 x 14000 pixels"));
  CHECK(contains(refusal(path), "--max-megapixels"));
  // The header alone is enough, so that readers of annotations leave such an image out.
  CHECK_THROWS_AS(read_image_info(path), InputError);
  // As many pixels with more bytes, and as few bytes with fewer pixels, are for the decoder to judge.
  CHECK(read_image_info(path, {.small_pixels = 200'000'000}).seen == ImageSize{14000, 14000});
  CHECK(read_image_info(path, {.pixels_per_byte = 1000}).seen == ImageSize{14000, 14000});
  write_bytes(path, claiming_png(5000, 5000, 10));
  CHECK(read_image_info(path).seen == ImageSize{5000, 5000});
  write_bytes(path, claiming_png(5001, 5000, 10));
  CHECK_THROWS_AS(read_image_info(path), InputError);
}

TEST_CASE("costs: --max-megapixels is the limit whatever the bytes, and larger images are skipped") {
  const ProgramTrial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 2);
  // Flat, so that its file is small; one of 30 megapixels that the usual limit refuses.
  const fs::path large = trial.folder / "data/JPEGImages/train_00001.png";
  write_bytes(large, claiming_png(6000, 5000, 10));
  const auto check = [&](const std::string& most) {
    std::vector<std::string> words = {"check", trial.path("data"), "--no-deep"};
    if (!most.empty()) words.insert(words.end(), {"--max-megapixels", most});
    return trial.run(words).out;
  };
  CHECK(contains(check(""), "is too large for its "));
  CHECK_FALSE(contains(check("30"), "is too large"));
  CHECK(contains(check("29"), "is too large"));
  write_bytes(large, encode_png(random_image(1200, 900)));
  CHECK_FALSE(contains(check("2"), "is too large"));
  const std::string skipped = check("1");
  CHECK(contains(skipped, "is too large"));
  CHECK(contains(skipped, "train: 1 image;"));
}

TEST_CASE("costs: a JPEG of thousands of scans") {
  const TemporaryFolder folder;
  const fs::path path = folder / "a.jpg";
  write_bytes(path, scanning_jpeg(4000, 3000));
  const auto start = std::chrono::steady_clock::now();
  CHECK(contains(refusal(path), "is a JPEG of 3000 scans of 4000 x 4000 pixels, which would take too long"));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
  // The usual number is never too much, nor are many of a few pixels.
  write_bytes(path, scanning_jpeg(4000, 20));
  CHECK_FALSE(contains(refusal(path), "too long"));
  write_bytes(path, scanning_jpeg(64, 1000));
  CHECK_FALSE(contains(refusal(path), "too long"));
}

TEST_CASE("costs: the names of classes and their number are limited") {
  const TemporaryFolder folder;
  const fs::path file = folder / "a.json";
  write_bytes(folder / "a.jpg", stb_jpeg(smooth_image(20, 20)));
  const auto read = [&](size_t categories, const std::string& name) {
    write_text(file, coco_with(categories, name));
    return read_coco(file, folder.path());
  };
  CHECK(read(3, "x").classes == std::vector<std::string>{"x0", "x1", "x2"});
  CHECK(read(1, std::string(999, 'x')).classes[0].size() == 1000);
  CHECK(contains(input_error([&] { read(1, std::string(100'000, 'x')); }), "name is 100001 bytes long"));
  CHECK(read(50'000, "x").classes.size() == 50'000);
  CHECK(contains(input_error([&] { read(200'000, "x"); }), "has 200000 classes; at most 100000 are read"));
  const auto ids_with = [&](const std::string& id) {
    std::string text = coco_with(1, "x");
    text.replace(text.find(R"("id":1,"name")"), 6, R"("id":)" + id);
    write_text(file, text);
    return read_coco(file, folder.path()).category_ids;
  };
  constexpr int64_t kLargest = int64_t{1} << 53;
  for (const int64_t id : {-kLargest - 1, kLargest + 1})
    CHECK(contains(input_error([&] { ids_with(std::to_string(id)); }),
                   "expected a whole number from -9007199254740992 to 9007199254740992"));
  for (const int64_t id : {-kLargest, int64_t{-1}, kLargest})
    CHECK(ids_with(std::to_string(id)) == std::vector<int64_t>{id});
}
