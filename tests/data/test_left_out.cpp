// Annotated images and entries that are left out, or taken together: each is said.
#include "tests/data/label_folder.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Names = std::vector<std::string>;

std::string xml() {
  return "<annotation><size><width>40</width><height>30</height></size><object><name>cat</name><bndbox>"
         "<xmin>3</xmin><ymin>4</ymin><xmax>10</xmax><ymax>12</ymax></bndbox></object></annotation>";
}

bool says(const Names& notes, const std::string& part) {
  return std::any_of(notes.begin(), notes.end(),
                     [&](const std::string& note) { return contains(note, part); });
}

/// VOC with the images a to f.
struct Voc : LabelFolder {
  Voc() {
    for (const char* id : {"a", "b", "c", "d", "e", "f"}) {
      image(fmt::format("JPEGImages/{}.jpg", id));
      text(fmt::format("Annotations/{}.xml", id), xml());
    }
  }
  void list(const std::string& split, const std::string& lines) const {
    text("ImageSets/Main/" + split + ".txt", lines);
  }
};

}  // namespace

TEST_CASE("left out: VOC's annotated images that no list names are counted and named") {
  const Voc voc;
  voc.list("train", "a\n");
  voc.list("val", "");
  voc.list("cat_train", "a 1\nb 1\nc 1\nd 1\ne 1\nf 1\n");  // the list of a class is no split
  CHECK(says(voc.find().notes, "val.txt lists no image; it is ignored."));
  CHECK(says(voc.find().notes,
             ": 5 annotated images (b, c, d and 2 more) are in no list (train.txt) and are left out."));
  voc.list("val", "b.jpg\nc\nd\ne\n");
  CHECK(
      says(voc.find().notes, ": 1 annotated image (f) is in no list (train.txt, val.txt) and is left out."));
  voc.list("test", "f\n");
  CHECK(voc.find().notes == Names{});
  CHECK(voc.read("train").samples.size() == 1);
}

TEST_CASE("left out: VOC's images that only trainval.txt names, beside train.txt") {
  const Voc voc;
  voc.list("train", "a\nb\n");
  voc.list("val", "c\n");
  voc.list("trainval", "a\nb\nc\nd\n");
  voc.list("test", "f\n");
  const Names notes = voc.find().notes;
  CHECK(
      says(notes, ": 1 annotated image (e) is in no list (test.txt, train.txt, trainval.txt, val.txt) and"));
  CHECK(
      says(notes,
           ": 1 annotated image (d) is in trainval.txt, but not in train.txt or any other list, so only the "
           "split trainval has it."));
  CHECK(notes.size() == 2);
  CHECK(voc.read("trainval").samples.size() == 4);
  voc.list("train", "");  // then trainval is a split like another
  CHECK(!says(voc.find().notes, "in trainval.txt, but"));
}

TEST_CASE("left out: XML beside the images that no list names") {
  const LabelFolder folder;
  for (const char* id : {"a", "b", "x/c", "y/c"}) {
    folder.image(fmt::format("{}.jpg", id));
    folder.text(fmt::format("{}.xml", id), xml());
  }
  folder.text("train.txt", "a.jpg\nx/c.jpg\n");
  folder.text("val.txt", "");
  const DataFolder found = folder.find();
  CHECK(found.splits == Names{"train"});
  CHECK(says(found.notes, ": 2 annotated images (b, y/c) are in no list (train.txt) and are left out."));
  folder.text("val.txt", "b\ny\\c.jpg\n");
  CHECK(folder.find().notes == Names{});
  CHECK(folder.read("val").samples.size() == 2);
  // A line may give the folder of the image, which is another one than that of the annotation.
  const LabelFolder apart;
  for (const char* id : {"a", "b"}) {
    apart.image(fmt::format("images/{}.jpg", id));
    apart.text(fmt::format("annots/{}.xml", id), xml());
  }
  apart.text("train.txt", "images/a.jpg\n");
  CHECK(
      says(apart.find().notes, ": 1 annotated image (annots/b) is in no list (train.txt) and is left out."));
}

TEST_CASE("via: entries of one name and size are taken together, and that is said") {
  const LabelFolder folder;
  folder.image("a.jpg");
  const auto entry = [](const std::string& key, const std::string& size, int x) {
    return fmt::format(
        R"("{}": {{"filename": "a.jpg"{}, "regions": [{{"shape_attributes": {{"name": "rect", "x": {}, )"
        R"("y": 3, "width": 5, "height": 6}}, "region_attributes": {{"class": "cat"}}}}]}})",
        key, size, x);
  };
  folder.text("via.json", "{" + entry("1", "", 2) + "," + entry("2", "", 20) + "}");
  const Dataset data = folder.read();
  REQUIRE(data.samples.size() == 1);
  CHECK(data.samples[0].objects.size() == 2);
  REQUIRE(data.faults.size() == 1);
  CHECK(contains(data.faults[0].what,
                 "a.jpg has several entries without the size of its file; the regions of all are used."));
  CHECK(data.faults[0].kind == FaultKind::repeated);
  folder.text("via.json",
              "{" + entry("1", ", \"size\": 123", 2) + "," + entry("2", ", \"size\": 123", 20) + "}");
  const Dataset sized = folder.read();
  CHECK(sized.samples.at(0).objects.size() == 2);
  CHECK(contains(first_fault(sized.faults), "a.jpg has several entries of 123 bytes"));
  folder.text("via.json", "{" + entry("1", "", 2) + "}");
  CHECK(folder.read().faults.empty());
}
