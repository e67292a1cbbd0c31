// `rcnn data` as a command.
#include <doctest/doctest.h>

#include "data/image.h"
#include "tests/data/label_folder.h"
#include "tests/program.h"

using namespace rcnn;
using namespace rcnn::fixtures;

TEST_CASE(
    "data convert: writes another form, says what it has no place for, and refuses a folder with files") {
  const auto program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "in");
  write_png(folder / "in/a.png", smooth_image(40, 30));
  write_text(
      folder / "in/a.xml",
      "<annotation><size><width>40</width><height>30</height></size><object><name>cat</name><bndbox>"
      "<xmin>3</xmin><ymin>4</ymin><xmax>10</xmax><ymax>12</ymax></bndbox></object><object><name>cat</name>"
      "<difficult>1</difficult><bndbox><xmin>5</xmin><ymin>4</ymin><xmax>10</xmax><ymax>12</ymax></bndbox>"
      "</object></annotation>");
  const std::string in = (folder / "in").string(), out = (folder / "out").string();
  const Finished first = run_program(program, {"data", "convert", in, "--to", "yolo", "--out", out});
  CAPTURE(first.out);
  CHECK(first.status == 0);
  CHECK(contains(first.out, "the data: 1 image, 1 object\n"));
  CHECK(contains(first.out, "crowds and difficult objects, left out: YOLO has no place for them: 1"));
  CHECK(contains(first.out, "no split val"));
  CHECK(contains(first.out, "was read back, with the same boxes"));
  CHECK(run_program(program, {"check", out}).status == 0);
  const Finished again = run_program(program, {"data", "convert", in, "--to", "coco", "--out", out});
  CHECK(again.status == 2);
  CHECK(contains(again.err, "exists and is not an empty folder"));
  const Finished unknown = run_program(program, {"data", "convert", in, "--to", "pdf", "--out", out + "2"});
  CHECK(unknown.status == 2);
  CHECK(contains(unknown.err, "pdf not in {coco,voc,yolo}"));
  CHECK(!std::filesystem::exists(out + "2"));
}

TEST_CASE("data convert: --exif-boxes says on which image the boxes were drawn") {
  const auto program = find_program();
  if (program.empty()) return;
  const LabelFolder in;
  write_bytes(in.folder / "a.jpg", with_exif(stb_jpeg(smooth_image(40, 30)), exif_block(6)));
  in.text("a.txt", "0 0.5 0.25 0.2 0.1\n");
  in.text("classes.txt", "cat\n");
  const TemporaryFolder folder;
  const auto box = [&](const std::string& word) {
    const std::string out = (folder / word).string();
    const Finished result = run_program(program, {"data", "convert", in.folder.path().string(), "--to",
                                                  "coco", "--out", out, "--exif-boxes", word});
    CAPTURE(result.err);
    REQUIRE(result.status == 0);
    return read_split(find_data(out), "").samples.at(0).objects.at(0).box;
  };
  CHECK(box("seen") == Box{12, 8, 18, 12});
  CHECK(box("stored") == Box{21, 16, 24, 24});  // 16 6 24 9 of 40 x 30 pixels, turned clockwise
}
