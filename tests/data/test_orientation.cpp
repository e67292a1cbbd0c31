#include "data/orientation.h"

#include "data/coco.h"
#include "data/exif.h"
#include "data/folder.h"
#include "data/frame_picture.h"
#include "data/voc.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

/// The corners (top left, top right, bottom left, bottom right) of the turned image for each orientation, if
/// the stored image has A B above C D. EXIF 2.3 defines where the first row and the first column go.
constexpr std::string_view kSeen[] = {"ABCD", "BADC", "DCBA", "CDAB", "ACBD", "CADB", "DBCA", "BDAC"};

constexpr uint8_t kColours[4][3] = {{220, 40, 40}, {40, 200, 60}, {50, 60, 210}, {230, 220, 60}};

/// A 32 x 16 image of four quarters A, B, C and D.
Image quarters() {
  Image image(32, 16);
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 32; ++x) std::copy_n(kColours[(y / 8) * 2 + x / 16], 3, image.pixel(x, y));
  return image;
}

char nearest_colour(const uint8_t* pixel) {
  for (int i = 0; i < 4; ++i) {
    bool near = true;
    for (int c = 0; c < 3; ++c) near = near && std::abs(pixel[c] - kColours[i][c]) <= 20;
    if (near) return static_cast<char>('A' + i);
  }
  return '?';
}

std::string corners(const Image& image) {
  std::string found;
  for (const int y : {2, image.height - 3})
    for (const int x : {2, image.width - 3}) found += nearest_colour(image.pixel(x, y));
  return found;
}

ImageInfo info_of(int width, int height, int orientation) {
  return {turn_size({width, height}, orientation), {width, height}, orientation};
}

}  // namespace

TEST_CASE("orientation: a JPEG is turned by its EXIF orientation, in either byte order") {
  const TemporaryFolder folder;
  for (int orientation = 1; orientation <= 8; ++orientation)
    for (const bool big_endian : {false, true}) {
      INFO(orientation, " ", big_endian);
      write_bytes(folder / "a.jpg",
                  with_exif(stb_jpeg(quarters()), exif_block(static_cast<uint32_t>(orientation), big_endian,
                                                             orientation == 3 ? 6 : 3)));
      const Image image = read_image(folder / "a.jpg");
      const ImageSize expected = orientation <= 4 ? ImageSize{32, 16} : ImageSize{16, 32};
      CHECK(ImageSize{image.width, image.height} == expected);
      CHECK(corners(image) == kSeen[orientation - 1]);
      CHECK(read_image_size(folder / "a.jpg") == expected);
      CHECK(read_image_info(folder / "a.jpg") == ImageInfo{expected, {32, 16}, orientation});
    }
}

TEST_CASE("orientation: a PNG is turned as well") {
  const TemporaryFolder folder;
  for (const bool big_endian : {false, true}) {
    write_bytes(folder / "a.png", encode_raw_png({.width = 3,
                                                  .height = 2,
                                                  .colour_type = 0,
                                                  .rows = {0, 1, 2, 3, 0, 4, 5, 6},
                                                  .exif = exif_block(6, big_endian)}));
    const Image image = read_image(folder / "a.png");
    CHECK(image.width == 2);
    CHECK(image.height == 3);
    CHECK(image.rgb == std::vector<uint8_t>{4, 4, 4, 1, 1, 1, 5, 5, 5, 2, 2, 2, 6, 6, 6, 3, 3, 3});
    CHECK(read_image_info(folder / "a.png") == ImageInfo{{2, 3}, {3, 2}, 6});
  }
}

TEST_CASE("orientation: the entry of a photograph is found among other segments") {
  std::vector<uint8_t> jpeg = with_orientation(stb_jpeg(quarters()), 8);
  jpeg = with_segment(std::move(jpeg), 0xE1, "http://ns.adobe.com/xap/1.0/", {});
  jpeg = with_segment(std::move(jpeg), 0xE2, "", std::vector<uint8_t>(60000));
  jpeg = with_segment(std::move(jpeg), 0xE2, "", std::vector<uint8_t>(60000));  // after the first 64 KiB
  const TemporaryFolder folder;
  write_bytes(folder / "a.jpg", jpeg);
  CHECK(read_image_info(folder / "a.jpg").orientation == 8);
  CHECK(corners(read_image(folder / "a.jpg")) == kSeen[7]);
}

TEST_CASE("orientation: an EXIF block that is damaged or out of range turns nothing") {
  for (const uint32_t value : {0u, 9u, 65535u}) CHECK(exif_orientation(exif_block(value)) == 1);
  CHECK(exif_orientation({}) == 1);
  const std::vector<uint8_t> whole = exif_block(6);
  CHECK(exif_orientation(whole) == 6);
  for (size_t length = 0; length < 22; ++length) CHECK(exif_orientation(std::span(whole).first(length)) == 1);
  std::vector<uint8_t> far = whole;
  far[7] = 0x7F;  // the first directory lies 2 GiB ahead
  CHECK(exif_orientation(far) == 1);
  std::vector<uint8_t> text = whole;
  text[12] = 2;  // the entry is text
  CHECK(exif_orientation(text) == 1);
  std::vector<uint8_t> wide = whole;
  wide[12] = 4;  // four bytes, as some programs write
  CHECK(exif_orientation(wide) == 6);
}

TEST_CASE("orientation: boxes turn with the pixels") {
  const Box box{2, 3, 10, 7};
  CHECK(turn_box(box, 1, {40, 30}) == box);
  CHECK(turn_box(box, 2, {40, 30}) == Box{30, 3, 38, 7});
  CHECK(turn_box(box, 3, {40, 30}) == Box{30, 23, 38, 27});
  CHECK(turn_box(box, 4, {40, 30}) == Box{2, 23, 10, 27});
  CHECK(turn_box(box, 5, {40, 30}) == Box{3, 2, 7, 10});
  CHECK(turn_box(box, 6, {40, 30}) == Box{23, 2, 27, 10});
  CHECK(turn_box(box, 7, {40, 30}) == Box{23, 30, 27, 38});
  CHECK(turn_box(box, 8, {40, 30}) == Box{3, 30, 7, 38});
  CHECK_THROWS_AS(turn_box(box, 0, {40, 30}), Error);
  CHECK_THROWS_AS(turn_box(box, 9, {40, 30}), Error);

  Image image(40, 30);
  for (int y = 3; y < 7; ++y)
    for (int x = 2; x < 10; ++x) image.pixel(x, y)[1] = 255;
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image seen = turn_image(image, orientation);
    const Box turned = turn_box(box, orientation, {40, 30});
    bool all_agree = true;
    for (int y = 0; y < seen.height; ++y)
      for (int x = 0; x < seen.width; ++x) {
        const bool inside = static_cast<float>(x) >= turned.x1 && static_cast<float>(x) < turned.x2 &&
                            static_cast<float>(y) >= turned.y1 && static_cast<float>(y) < turned.y2;
        all_agree = all_agree && (seen.pixel(x, y)[1] == 255) == inside;
      }
    INFO(orientation);
    CHECK(all_agree);
  }
}

TEST_CASE("orientation: the sizes decide, or else the majority") {
  const SizeClaim seen{info_of(40, 30, 6), {30, 40}}, stored{info_of(40, 30, 8), {40, 30}};
  const SizeClaim half{info_of(40, 30, 3), {40, 30}}, square{info_of(30, 30, 5), {30, 30}};
  const SizeClaim upright{info_of(40, 30, 1), {40, 30}}, silent{info_of(40, 30, 6), {}};
  const SizeClaim other{info_of(40, 30, 3), {400, 300}};
  const auto turned = [](const std::vector<SizeClaim>& claims) { return find_box_frames(claims).turned; };
  using Flags = std::vector<bool>;
  CHECK(turned({}).empty());
  CHECK(turned({seen, stored, upright}) == Flags{false, true, false});
  CHECK(turned({half, square, silent, other, upright}) == Flags(5, false));
  CHECK(turned({half, square, silent, other, upright, seen}) == Flags(6, false));
  CHECK(turned({half, square, silent, other, upright, stored}) == Flags{true, true, true, true, false, true});
  CHECK(turned({half, silent, seen, stored}) == Flags{false, false, false, true});
  CHECK(turned({half, silent, seen, seen, stored}) == Flags{false, false, false, false, true});

  using Indices = std::vector<size_t>;
  const std::vector<SizeClaim> unclear = {upright, half, seen, square, stored, silent};
  CHECK(find_box_frames(unclear).uncertain == Indices{1, 3, 5});
  CHECK(find_box_frames(std::vector<SizeClaim>{half, seen}).uncertain.empty());
  const BoxFrames as_seen = find_box_frames(unclear, ExifBoxes::seen);
  CHECK(as_seen.turned == Flags(6, false));
  CHECK(as_seen.uncertain.empty());
  const BoxFrames as_stored = find_box_frames(unclear, ExifBoxes::stored);
  CHECK(as_stored.turned == Flags{false, true, true, true, true, true});
  CHECK(as_stored.uncertain.empty());
  CHECK(parse_exif_boxes("auto") == ExifBoxes::automatic);
  CHECK(contains(input_error([] { parse_exif_boxes("turned"); }), "auto, seen or stored"));
}

TEST_CASE("orientation: boxes on photographs whose sizes tell nothing are those of the image as seen") {
  for (const bool coco : {false, true}) {
    const TemporaryFolder folder;
    write_bytes(folder / "a.jpg", with_orientation(stb_jpeg(smooth_image(40, 30)), 3));
    if (coco)
      write_text(folder / "a.json",
                 R"({"categories": [{"id": 1, "name": "cat"}], "images": [{"id": 1, "file_name": "a.jpg",)"
                 R"( "width": 40, "height": 30}], "annotations": [{"image_id": 1, "category_id": 1,)"
                 R"( "bbox": [2, 3, 8, 4]}]})");
    else
      write_voc_annotation(folder / "a.xml", {"a", {}, 40, 30, {{{2, 3, 10, 7}, 1}}}, {"cat"}, "a.jpg");
    DataFolder data = find_data(folder.path());
    const auto read = [&](ExifBoxes option) {
      data.options.exif_boxes = option;
      return read_split(data, "");
    };
    const Dataset automatic = read(ExifBoxes::automatic);
    CHECK(automatic.samples.at(0).objects.at(0).box == Box{2, 3, 10, 7});
    REQUIRE(automatic.faults.size() == 1);
    CHECK(
        contains(automatic.faults[0].what, "the EXIF entry turns 1 image (a.jpg) whose size does not tell"));
    CHECK(contains(automatic.faults[0].what, "--exif-boxes stored"));
    CHECK(automatic.faults[0].kind == FaultKind::exif);
    CHECK(count_faults(automatic.faults) == 0);
    CHECK(automatic.samples[0].frame_is_guessed);
    const Dataset seen = read(ExifBoxes::seen);
    CHECK(seen.samples.at(0).objects.at(0).box == Box{2, 3, 10, 7});
    CHECK(seen.faults.empty());
    CHECK_FALSE(seen.samples[0].frame_is_guessed);
    const Dataset stored = read(ExifBoxes::stored);
    CHECK(stored.samples.at(0).objects.at(0).box == Box{30, 23, 38, 27});
    REQUIRE(stored.faults.size() == 1);
    CHECK(contains(stored.faults[0].what, "(as --exif-boxes says)"));
  }
}

namespace {

/// A dataset of one 40 x 30 photograph with the given orientation and the pixels [2, 10) x [3, 7) marked, and
/// of a second photograph that determines the frame: its annotation gives the size as stored or as seen.
class TurnedData {
 public:
  TurnedData(int orientation, bool stored_frame) {
    for (const char* part : {"JPEGImages", "Annotations", "ImageSets/Main"})
      std::filesystem::create_directories(folder / part);
    image("a", orientation);
    image("b", 6);
    write_text(folder / "ImageSets/Main/train.txt", "a\r\nb\r\n");
    const ImageSize stored{40, 30}, seen = turn_size(stored, orientation);
    const Box box = stored_frame ? Box{2, 3, 10, 7} : turn_box({2, 3, 10, 7}, orientation, stored);
    annotate("a", stored_frame ? stored : seen, box);
    annotate("b", stored_frame ? stored : turn_size(stored, 6), {0, 0, 5, 5});
    write_text(folder / "coco.json", R"({"categories": [{"id": 7, "name": "cat"}], "images": [)" + images_ +
                                         R"(], "annotations": [)" + annotations_ + "]}");
  }

  TemporaryFolder folder;

 private:
  void image(const std::string& id, int orientation) {
    write_bytes(folder / ("JPEGImages/" + id + ".jpg"),
                with_orientation(stb_jpeg(smooth_image(40, 30)), orientation));
  }
  void annotate(const std::string& id, ImageSize size, const Box& box) {
    write_voc_annotation(folder / ("Annotations/" + id + ".xml"),
                         {id, {}, size.width, size.height, {{box, 1}}}, {"cat"}, id + ".jpg");
    if (!images_.empty()) {
      images_ += ", ";
      annotations_ += ", ";
    }
    const int number = id == "a" ? 0 : 5;
    images_ += fmt::format(R"({{"id": {}, "file_name": "{}.jpg", "width": {}, "height": {}}})", number, id,
                           size.width, size.height);
    annotations_ += fmt::format(
        R"({{"id": {0}, "image_id": {0}, "category_id": 7, "bbox": [{1}, {2}, {3}, {4}], "area": {5}, "iscrowd": 0}})",
        number, box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1, (box.x2 - box.x1) * (box.y2 - box.y1));
  }

  std::string images_, annotations_;
};

void check_turned(const Dataset& data, int orientation, bool stored_frame) {
  INFO("orientation ", orientation, stored_frame ? ", boxes as stored" : ", boxes as seen");
  REQUIRE(data.samples.size() == 2);
  const Sample& sample = data.samples[0];
  CHECK(ImageSize{sample.width, sample.height} == turn_size({40, 30}, orientation));
  REQUIRE(sample.objects.size() == 1);
  CHECK(sample.objects[0].box == turn_box({2, 3, 10, 7}, orientation, {40, 30}));
  REQUIRE(data.faults.size() == (stored_frame ? (orientation == 1 ? 1u : 2u) : 0u));
  if (!stored_frame) return;
  if (orientation != 1) CHECK(contains(data.faults[0].what, "a.jpg"));
  CHECK(contains(data.faults.back().what, "b.jpg as it is stored, 40 x 30"));
  CHECK(contains(data.faults.back().what, "EXIF orientation 6"));
  CHECK(contains(data.faults.back().what, "its boxes were turned with the image."));
}

}  // namespace

TEST_CASE("orientation: annotations in either frame, in VOC's and in COCO's format") {
  for (int orientation = 1; orientation <= 8; ++orientation)
    for (const bool stored_frame : {false, true}) {
      const TurnedData data(orientation, stored_frame);
      check_turned(read_voc(data.folder.path(), "train"), orientation, stored_frame);
      check_turned(read_coco(data.folder / "coco.json", data.folder / "JPEGImages"), orientation,
                   stored_frame);
    }
}

TEST_CASE("orientation: boxes are clipped to the image in their own frame") {
  const TemporaryFolder folder;
  write_bytes(folder / "JPEGImages/a.jpg", with_orientation(stb_jpeg(smooth_image(40, 30)), 6));
  std::filesystem::create_directories(folder / "Annotations");
  write_voc_annotation(folder / "Annotations/a.xml", {"a", {}, 40, 30, {{{20, 10, 50, 20}, 1}}}, {"cat"},
                       "a.jpg");
  const Dataset data = read_voc(folder.path(), "");
  REQUIRE(data.faults.size() == 2);
  CHECK(contains(data.faults[1].what, "partly outside the 40 x 30 image"));
  REQUIRE(count_boxes(data) == 1);
  CHECK(data.samples[0].objects[0].box == Box{10, 20, 20, 40});
}

TEST_CASE("orientation: the inverse turns an image back") {
  const Image image = random_image(7, 5);
  for (int orientation = 1; orientation <= 8; ++orientation)
    CHECK(turn_image(turn_image(image, orientation), inverse_orientation(orientation)).rgb == image.rgb);
  CHECK_THROWS(inverse_orientation(9));
}

TEST_CASE("orientation: a picture shows the boxes on the image as seen and as stored") {
  // A photograph that is black but for a white square under the box, in the frame as it is stored.
  Image stored(400, 300);
  for (int y = 30; y < 70; ++y)
    for (int x = 20; x < 100; ++x) std::fill_n(stored.pixel(x, y), 3, uint8_t{255});
  const TemporaryFolder folder;
  write_bytes(folder / "a.jpg", with_orientation(stb_jpeg(stored), 6));
  const Box box{20, 30, 100, 70};
  const Sample as_seen{"a", folder / "a.jpg", 300, 400, {{box, 1}}};
  const Sample as_stored{"a", folder / "a.jpg", 300, 400, {{turn_box(box, 6, {400, 300}), 1}}};
  CHECK(frames_differ(as_seen, as_stored));
  CHECK_FALSE(frames_differ(as_seen, as_seen));
  const Image picture = draw_both_frames(as_seen, as_stored, {"cat"});
  CHECK(picture.width == 300 + 12 + 400);
  CHECK(picture.height == 44 + 400);
  // In the right panel the box surrounds the square; in the left one, what is inside the box is black.
  CHECK(picture.pixel(312 + 60, 44 + 50)[1] > 250);
  CHECK(picture.pixel(60, 44 + 50)[1] < 5);
  CHECK(picture.pixel(300 - 50, 44 + 60)[1] > 250);  // the square, turned
}
