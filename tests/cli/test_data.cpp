// `rcnn data` as a command.
#include <doctest/doctest.h>

#include "data/image.h"
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
