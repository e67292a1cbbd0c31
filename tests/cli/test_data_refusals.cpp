// What the commands of `rcnn data` refuse, and what they say of data that they write all the same.
#include <doctest/doctest.h>

#include "data/folder.h"
#include "tests/data/label_folder.h"
#include "tests/program.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

std::string xml(const std::string& name = "cat", int x = 3) {
  return fmt::format(
      "<annotation><size><width>40</width><height>30</height></size><object><name>{}</name><bndbox>"
      "<xmin>{}</xmin><ymin>4</ymin><xmax>20</xmax><ymax>12</ymax></bndbox></object></annotation>",
      name, x);
}

/// Two images a and b in each folder of the data set `in`, all different.
void write_data(const ProgramTrial& trial, const Names& splits) {
  int number = 0;
  for (const std::string& split : splits)
    for (const char* id : {"a", "b"}) {
      write_bytes(trial.folder / fmt::format("in/{}/{}.png", split, id), numbered_picture(++number));
      write_text(trial.folder / fmt::format("in/{}/{}.xml", split, id), xml());
    }
}

}  // namespace

TEST_CASE("data: annotated images that are in no list are said by check, convert and train") {
  const ProgramTrial trial;
  if (!trial) return;
  for (const char* id : {"a", "b", "c", "d"}) {
    write_bytes(trial.folder / fmt::format("in/JPEGImages/{}.png", id), numbered_picture(id[0]));
    write_text(trial.folder / fmt::format("in/Annotations/{}.xml", id), xml());
  }
  write_text(trial.folder / "in/ImageSets/Main/train.txt", "a\nb\n");
  const char* sentence = "2 annotated images (c, d) are in no list (train.txt) and are left out.";
  CHECK(contains(trial.run({"check", trial.path("in")}).out, sentence));
  const Finished converted =
      trial.run({"data", "convert", trial.path("in"), "--to", "coco", "--out", trial.path("out")});
  CHECK(converted.status == 0);
  CHECK(contains(converted.out, sentence));
  CHECK(contains(converted.out, "train: 2 images, 2 objects\n"));
  const Finished trained =
      trial.run({"train", "--data", trial.path("in"), "--out", trial.path("run"), "--model", "nano-fpn",
                 "--steps", "1", "--batch", "1", "--short-side", "64"});
  CAPTURE(trained.err);
  CHECK(contains(trained.out, sentence));
}

TEST_CASE("data split: copies of the images in a split that stays as it is are named") {
  const ProgramTrial trial;
  if (!trial) return;
  write_data(trial, {"train", "test"});
  write_bytes(trial.folder / "in/train/c.png", numbered_picture(3));  // that of test/a.png
  write_text(trial.folder / "in/train/c.xml", xml());
  REQUIRE(content_of(trial.folder / "in/train/c.png") == content_of(trial.folder / "in/test/a.png"));
  const Finished result = trial.run({"data", "split", trial.path("in"), "--split", "train", "--parts",
                                     "train=.5,val=.5", "--to", "coco", "--out", trial.path("out")});
  CAPTURE(result.err);
  CHECK(result.status == 0);
  CHECK(contains(result.out,
                 "  1 image (c.png) is also, byte for byte, in the split test, which stays as it is\n"));
}

TEST_CASE("data convert: one image with two annotations, and a split that the form cannot hold: status 2") {
  const ProgramTrial trial;
  if (!trial) return;
  write_bytes(trial.folder / "in/images/a.png", numbered_picture(1));
  const auto coco = [&](const std::string& split, int x) {
    write_text(trial.folder / fmt::format("in/annotations/instances_{}.json", split),
               fmt::format(R"({{"images": [{{"id": 1, "file_name": "a.png", "width": 40, "height": 30}}], )"
                           R"("categories": [{{"id": 1, "name": "cat"}}], "annotations": [{{"id": 1, )"
                           R"("image_id": 1, "category_id": 1, "bbox": [{}, 4, 10, 12]}}]}})",
                           x));
  };
  coco("train", 3);
  coco("val", 7);
  const Finished twice =
      trial.run({"data", "convert", trial.path("in"), "--to", "voc", "--out", trial.path("out")});
  CHECK(twice.status == 2);
  CHECK(contains(twice.err, "a.png lies in the splits train and val with different objects"));
  CHECK(!fs::exists(trial.folder / "out"));

  write_data(trial, {"train"});
  fs::remove_all(trial.folder / "in/annotations");
  fs::remove_all(trial.folder / "in/images");
  const Finished named = trial.run({"data", "split", trial.path("in"), "--parts", "a=.5,b_a=.5", "--to",
                                    "voc", "--out", trial.path("out")});
  CHECK(named.status == 2);
  CHECK(contains(named.err, "The split 'b_a' cannot be written as VOC beside the split 'a'"));
  CHECK(!fs::exists(trial.folder / "out"));
}

TEST_CASE("data convert: as many faults are said as `rcnn check` finds, and classes that VOC loses") {
  const ProgramTrial trial;
  if (!trial) return;
  std::vector<uint8_t> damaged = numbered_picture(3);
  std::fill(damaged.begin() + 43, damaged.begin() + 120, uint8_t{0xFF});  // in the compressed pixels
  write_bytes(trial.folder / "in/images/train/a.png", damaged);
  write_bytes(trial.folder / "in/images/train/b.png", numbered_picture(2));
  for (const char* id : {"a", "b"})
    write_text(trial.folder / fmt::format("in/labels/train/{}.txt", id), "1 0.5 0.5 0.2 0.2\n");
  write_text(trial.folder / "in/data.yaml", "names: ['owl, grey', cat]\ntrain: images/train\n");
  CHECK(contains(trial.run({"check", trial.path("in")}).out, "1 fault in"));
  const Finished result =
      trial.run({"data", "convert", trial.path("in"), "--to", "voc", "--out", trial.path("out")});
  CAPTURE(result.out);
  CHECK(result.status == 0);
  CHECK(contains(result.out, ": 1 fault in the data, which `rcnn check` lists\n"));
  CHECK(contains(result.out, "  images that cannot be decoded, and are written as they are: 1\n"));
  CHECK(contains(result.out,
                 "  1 class without an object, left out: VOC has no list of classes: 'owl, grey'\n"));
  const Finished dropped = trial.run({"data", "filter", trial.path("in"), "--classes", "owl, grey", "--to",
                                      "yolo", "--out", trial.path("owls")});
  CHECK(dropped.status == 0);
  CHECK(read_split(find_data(trial.folder / "owls"), "train").classes == Names{"owl, grey"});
}

TEST_CASE("data: numbers below 0 are refused where they count something") {
  const ProgramTrial trial;
  if (!trial) return;
  write_data(trial, {"train"});
  for (const Names& words :
       {Names{"data", "split", trial.path("in"), "--to", "coco", "--out", trial.path("o"), "--seed", "-1"},
        Names{"data", "draw", trial.path("in"), "--out", trial.path("o"), "--count", "-1"},
        Names{"synth", "--out", trial.path("o"), "--count", "-1"},
        Names{"synth", "--out", trial.path("o"), "--count", "1", "--seed", "-1"}}) {
    const Finished result = trial.run(words);
    CAPTURE(words[1]);
    CHECK(result.status == 2);
    CHECK(contains(result.err, "expected 0 or more, found -1"));
    CHECK(!fs::exists(trial.folder / "o"));
  }
}

TEST_CASE("data draw: --force replaces no file behind a symbolic link") {
  const ProgramTrial trial;
  if (!trial) return;
  write_data(trial, {"train"});
  write_bytes(trial.folder / "mine.jpg", stb_jpeg(smooth_image(8, 8)));
  const std::string before = content_of(trial.folder / "mine.jpg");
  fs::create_directories(trial.folder / "out/train");
  fs::create_symlink(trial.folder / "mine.jpg", trial.folder / "out/train/a.jpg");
  const Finished result =
      trial.run({"data", "draw", trial.path("in"), "--out", trial.path("out"), "--force"});
  CHECK(result.status == 2);
  CHECK(contains(result.err, "it is a symbolic link, and the file that it leads to would be replaced"));
  CHECK(content_of(trial.folder / "mine.jpg") == before);
  fs::remove(trial.folder / "out/train/a.jpg");
  CHECK(trial.run({"data", "draw", trial.path("in"), "--out", trial.path("out")}).status == 0);
}

TEST_CASE("data: names of splits and classes are shown without control characters, one class in singular") {
  const ProgramTrial trial;
  if (!trial) return;
  for (const std::string part : {"x", "y"}) {
    write_bytes(trial.folder / part / "a.png", numbered_picture(part[0]));
    write_text(trial.folder / part / "a.xml", xml());
  }
  const Finished merged = trial.run(
      {"data", "merge", trial.path("x"), trial.path("y"), "--to", "coco", "--out", trial.path("both")});
  CAPTURE(merged.err);
  CHECK(merged.status == 0);
  CHECK(contains(merged.out, "merged: 1 class: cat\n"));
  // A list's name, and so a split's, may hold anything but a slash.
  for (const char* part : {"JPEGImages/a.png", "Annotations/a.xml"})
    fs::create_directories((trial.folder / "voc" / part).parent_path());
  write_bytes(trial.folder / "voc/JPEGImages/a.png", numbered_picture(1));
  write_text(trial.folder / "voc/Annotations/a.xml", xml());
  write_text(trial.folder / "voc/ImageSets/Main/n\xC2\x9B.txt", "a\n");  // a control character of C1
  for (const Names& words :
       {Names{"check", trial.path("voc")},
        Names{"data", "convert", trial.path("voc"), "--to", "voc", "--out", trial.path("o")}}) {
    const Finished result = trial.run(words);
    CAPTURE(words[0]);
    CAPTURE(result.err);
    CHECK(!contains(result.out, "\xC2\x9B"));
    CHECK(contains(result.out, "n\\xC2\\x9B"));
  }
}
