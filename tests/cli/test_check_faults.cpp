// How `rcnn check` lists faults and notes, and what it draws.
#include <doctest/doctest.h>

#include "data/image.h"
#include "data/voc.h"
#include "tests/program.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

std::string reversed_xml() {
  return "<annotation><size><width>96</width><height>96</height></size><object><name>disc</name><bndbox>"
         "<xmin>50</xmin><ymin>5</ymin><xmax>20</xmax><ymax>30</ymax></bndbox></object></annotation>";
}

/// The output with its paragraphs in one line each.
std::string unwrapped(const std::string& text) {
  std::string joined;
  for (const char c : text)
    if (c != '\n' && (c != ' ' || !joined.ends_with(' ')))
      joined += c;
    else if (!joined.ends_with(' '))
      joined += ' ';
  return joined;
}

/// A 96 x 96 photograph of a square of 30 x 30 in the upper left, with its box; turned by `orientation`.
void write_photograph(const fs::path& folder, const std::string& id, int orientation) {
  Image image = smooth_image(96, 96);
  for (int y = 10; y < 40; ++y)
    for (int x = 10; x < 40; ++x) std::fill_n(image.pixel(x, y), 3, uint8_t{255});
  write_bytes(folder / (id + ".jpg"), with_orientation(stb_jpeg(image), orientation));
  write_voc_annotation(folder / (id + ".xml"), {id, {}, 96, 96, {{{10, 10, 40, 40}, 1}}}, {"square"},
                       id + ".jpg");
}

}  // namespace

TEST_CASE("check faults: many of a kind are cut short unless --all is given, and --strict exits with 2") {
  const ProgramTrial trial;
  if (!trial) return;
  write_tiny_scenes(trial.path("data"), 12);
  for (int i = 0; i < 7; ++i)
    write_text(trial.folder / fmt::format("data/Annotations/train_{:05}.xml", i), reversed_xml());
  const Finished plain = trial.run({"check", trial.path("data")});
  CAPTURE(plain.out);
  CHECK(plain.status == 0);
  CHECK(contains(plain.out, "  7 faults in the annotations and images:\n    reversed boxes: 7\n"));
  CHECK(contains(plain.out, "train_00002.xml has a reversed box"));
  CHECK_FALSE(contains(plain.out, "train_00003.xml has a reversed box"));
  CHECK(contains(plain.out, "and 4 more like these: `rcnn check --all` lists them"));
  const Finished all = trial.run({"check", "--all", trial.path("data")});
  CHECK(all.status == 0);
  CHECK(contains(all.out, "train_00006.xml has a reversed box"));
  CHECK_FALSE(contains(all.out, "more like these"));
  const Finished strict = trial.run({"check", "--strict", trial.path("data")});
  CHECK(strict.status == 2);
  CHECK(strict.out == plain.out);
  CHECK(contains(strict.err, "rcnn: --strict: 7 faults in " + trial.path("data")));
}

TEST_CASE("check faults: --data names the data as well, and notes are not faults") {
  const ProgramTrial trial;
  if (!trial) return;
  write_photograph(trial.folder / "data/xml", "a", 1);
  write_photograph(trial.folder / "data/xml", "b", 1);
  fs::create_directories(trial.folder / "data/pics");
  for (const char* name : {"a.jpg", "b.jpg"})
    fs::rename(trial.folder / "data/xml" / name, trial.folder / "data/pics" / name);
  const Finished found = trial.run({"check", "--strict", "--data", trial.path("data")});
  CAPTURE(found.out);
  CAPTURE(found.err);
  CHECK(found.status == 0);
  CHECK(
      contains(found.out, "  0 faults in the annotations and images\n  1 note on how the data was read:\n"));
  CHECK(contains(found.out, "2 images were found by their names alone"));
  CHECK(found.out == trial.run({"check", trial.path("data")}).out);
  CHECK(trial.run({"check", trial.path("data"), "--data", trial.path("data")}).status == 2);
}

TEST_CASE("check faults: images that may be read in two ways are drawn in both") {
  const ProgramTrial trial;
  if (!trial) return;
  write_photograph(trial.folder / "data", "a", 6);
  write_photograph(trial.folder / "data", "b", 3);
  write_photograph(trial.folder / "data", "c", 1);
  const Finished hint = trial.run({"check", trial.path("data")});
  CHECK(contains(hint.out, "the EXIF entry turns 2 images (a.jpg is the first)"));
  CHECK(contains(hint.out, "`rcnn check --out DIR` draws both."));
  const Finished drawn = trial.run({"check", trial.path("data"), "--out", trial.path("both")});
  CAPTURE(drawn.out);
  CAPTURE(drawn.err);
  CHECK(drawn.status == 0);
  CHECK(contains(drawn.out, trial.path("both/exif-1.jpg") + " shows " + trial.path("data/a.jpg")));
  CHECK(contains(drawn.out, trial.path("both/exif-2.jpg") + " shows " + trial.path("data/b.jpg")));
  CHECK(std::distance(fs::directory_iterator(trial.folder / "both"), {}) == 2);
  CHECK(read_image(trial.folder / "both/exif-2.jpg").width == 2 * 360 + 12);
  // Its own pictures may be replaced, others not, and none is written into the data.
  CHECK(trial.run({"check", trial.path("data"), "--out", trial.path("both")}).status == 0);
  write_bytes(trial.folder / "both/exif-2.jpg", stb_jpeg(smooth_image(9, 9)));
  const Finished refused = trial.run({"check", trial.path("data"), "--out", trial.path("both")});
  CHECK(refused.status == 2);
  CHECK(contains(refused.err, "exif-2.jpg"));
  CHECK(trial.run({"check", trial.path("data"), "--out", trial.path("both"), "--force"}).status == 0);
  const Finished inside = trial.run({"check", trial.path("data"), "--out", trial.path("data/new/both")});
  CHECK(inside.status == 2);
  CHECK(contains(inside.err, "lies in the folder of the data"));
  CHECK_FALSE(fs::exists(trial.folder / "data/new"));
  // With the option there is no doubt.
  const Finished settled =
      trial.run({"check", trial.path("data"), "--exif-boxes", "stored", "--out", trial.path("none")});
  CHECK(settled.status == 0);
  CHECK(contains(settled.out, "nothing is drawn into"));
  CHECK_FALSE(fs::exists(trial.folder / "none"));
}

TEST_CASE("check faults: a COCO file with normalised boxes is refused with a sentence") {
  const ProgramTrial trial;
  if (!trial) return;
  fs::create_directories(trial.folder / "data");
  write_png(trial.folder / "data/a.png", random_image(40, 30));
  write_text(trial.folder / "data/a.json",
             R"({"categories": [{"id": 3, "name": "cat"}], "images": [{"id": 1, "file_name": "a.png"}],)"
             R"( "annotations": [{"image_id": 1, "category_id": 3, "bbox": [0.2, 0.3, 0.5, 0.25]}]})");
  const Finished result = trial.run({"check", trial.path("data")});
  CHECK(result.status == 2);
  CHECK(contains(result.err,
                 trial.path("data/a.json") + ": the boxes look normalised: the coordinates of all 1"));
}

TEST_CASE("check faults: images that are the same stay together in a random split") {
  const ProgramTrial trial;
  if (!trial) return;
  write_photograph(trial.folder / "data", "a", 1);
  write_photograph(trial.folder / "data", "b", 1);
  const Finished result = trial.run({"check", trial.path("data")});
  CAPTURE(result.out);
  const std::string text = unwrapped(result.out);
  CHECK(contains(text, "1 image of the data is the same as another one of that split"));
  CHECK(contains(text, "the random split of `rcnn train` keeps them together."));
}
