// Data sets inside the folder that is given, and lists that divide it.
#include "data/folder.h"
#include "tests/data/label_folder.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

/// Fills a folder. Images are 40 x 30.
struct Maker : LabelFolder {
  void xml(const std::string& path, const std::string& name = "cat") const {
    write_text(folder / path,
               "<annotation><size><width>40</width><height>30</height></size><object><name>" + name +
                   "</name><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>10</xmax><ymax>12</ymax></bndbox>"
                   "</object></annotation>");
  }
  void pair(const std::string& stem, const std::string& name = "cat") const {
    image(stem + ".jpg");
    xml(stem + ".xml", name);
  }
  /// A VOC folder with the images a to d.
  void voc(const std::string& root) const {
    for (const std::string id : {"a", "b", "c", "d"}) {
      image(root + "JPEGImages/" + id + ".jpg");
      xml(root + "Annotations/" + id + ".xml");
    }
  }
  void list(const std::string& path, const std::string& lines) const { write_text(folder / path, lines); }
  void coco(const std::string& path) const {
    write_text(folder / path,
               R"({"categories": [{"id": 3, "name": "cat"}], "images": [{"id": 1, "file_name": "a.jpg"}],)"
               R"( "annotations": [{"image_id": 1, "category_id": 3, "bbox": [2, 3, 8, 9]}]})");
  }
  Names ids(const std::string& split) const {
    Names found;
    for (const Sample& sample : read_split(find(), split).samples) found.push_back(sample.id);
    return found;
  }
};

/// Checks that there is one note, and that it has these words.
void check_note(const DataFolder& found, const std::string& words) {
  REQUIRE(found.notes.size() == 1);
  CAPTURE(found.notes[0]);
  CHECK(contains(found.notes[0], words));
  CHECK(found.notes[0].ends_with('.'));
}

}  // namespace

TEST_CASE("folder: a single data set further down is entered, with its splits, and said") {
  for (const std::string inner : {"VOC2007/", "VOCdevkit/VOC2007/", "a/b/c/"}) {
    const Maker maker;
    maker.voc(inner);
    maker.list(inner + "ImageSets/Main/train.txt", "a\nb\n");
    maker.list(inner + "ImageSets/Main/test.txt", "c\nd\n");
    maker.list("readme.txt", "thanks");
    const DataFolder found = maker.find();
    CHECK(found.form == "voc");
    CHECK(found.root == maker.folder / inner.substr(0, inner.size() - 1));
    CHECK(found.splits == Names{"train", "test"});
    check_note(found, "holds one data set, " + found.root.string() + ", which is used");
    CHECK(maker.ids("train") == Names{"a", "b"});
  }
  const Maker maker;
  for (const std::string split : {"train", "valid", "test"}) {
    maker.image("export/" + split + "/a.jpg");
    maker.coco("export/" + split + "/_annotations.coco.json");
  }
  maker.image("__MACOSX/train/a.jpg");
  maker.coco("__MACOSX/train/_annotations.coco.json");
  CHECK(maker.find().splits == Names{"train", "val", "test"});
  CHECK(maker.find().root == maker.folder / "export");
}

TEST_CASE("folder: several data sets further down, or annotations beside one, are refused with their paths") {
  const Maker maker;
  maker.voc("VOCdevkit/VOC2007/");
  maker.voc("VOCdevkit/VOC2012/");
  maker.image("other/train/a.jpg");
  maker.coco("other/train/_annotations.coco.json");
  const std::string sentence = input_error([&] { maker.find(); });
  CHECK(contains(sentence, "holds 3 data sets; give the path of one of them: "));
  for (const char* path : {"VOCdevkit/VOC2007", "VOCdevkit/VOC2012", "other"})
    CHECK(contains(sentence, (maker.folder / path).string()));

  const Maker mixed;
  mixed.voc("VOC2007/");
  mixed.pair("more/x");
  CHECK(contains(input_error([&] { mixed.find(); }), "VOC2007 and other annotations outside of it"));
}

TEST_CASE("folder: folders of XML files without a data set among them are still read together") {
  const Maker maker;
  maker.pair("day/a");
  maker.pair("night/b");
  CHECK(maker.find().form == "beside");
  CHECK(maker.find().notes.empty());
  CHECK(maker.ids("") == Names{"day/a", "night/b"});
}

TEST_CASE("folder: lists that are empty, or name no annotated image, are ignored with a note") {
  for (const std::string lines : {"", " \n", "x\ny\n"}) {
    const Maker maker;
    maker.voc("");
    maker.list("ImageSets/Main/train.txt", "a\nb\n");
    maker.list("ImageSets/Main/val.txt", "c\nd\n");
    maker.list("ImageSets/Main/test.txt", lines);
    const DataFolder found = maker.find();
    CHECK(found.splits == Names{"train", "val"});
    check_note(found, lines.size() < 3
                          ? "test.txt lists no image; it is ignored"
                          : "test.txt lists 2 images of which none has an annotation; it is ignored");
  }
}

TEST_CASE("folder: a single list named default, of all images, is ignored with a note") {
  const Maker maker;
  maker.voc("");
  maker.list("ImageSets/Main/default.txt", "a\nb\nc\nd\n");
  CHECK(maker.find().splits.empty());
  check_note(
      maker.find(),
      "default.txt is the only list and has all annotated images, so it makes no split; it is ignored");
  CHECK(maker.ids("").size() == 4);
  maker.list("ImageSets/Main/default.txt", "a\nb\nc\n");  // who made it may have meant to keep d out
  CHECK(maker.find().splits == Names{"default"});
  maker.list("ImageSets/Main/train.txt", "a\n");
  CHECK(maker.find().splits == Names{"train", "default"});
}

TEST_CASE("folder: lists with the extension of images, with folders, and directly in ImageSets") {
  const Maker maker;
  maker.voc("");
  maker.list("ImageSets/train.txt", "a.jpg\nJPEGImages/b.JPG 1\nD:\\photos\\c.jpeg\n");
  maker.list("ImageSets/test.txt", "d\n");
  CHECK(maker.find().splits == Names{"train", "test"});
  CHECK(maker.ids("train") == Names{"a", "b", "c"});
  CHECK(maker.ids("test") == Names{"d"});
}

TEST_CASE("folder: lists also divide XML files beside the images") {
  for (const std::string place : {"", "ImageSets/", "imagesets/Main/"}) {
    const Maker maker;
    for (const std::string id : {"photos/a", "photos/b", "more/c", "more/d"})
      maker.pair(id, id == "more/d" ? "dog" : "cat");
    maker.list(place + "train.txt", "photos/a.jpg\nc\nnowhere\n");
    maker.list(place + "test.txt", "b\nd\n");
    maker.list("labels.txt", "cat\ndog\n");
    const DataFolder found = maker.find();
    CHECK(found.form == "beside");
    CHECK(found.splits == Names{"train", "test"});
    CHECK(maker.ids("train") == Names{"photos/a", "more/c"});
    const Dataset train = read_split(found, "train");
    CHECK(train.classes == Names{"cat"});  // those of this split
    REQUIRE(train.faults.size() == 1);
    CHECK(contains(train.faults[0].what, "train.txt lists nowhere, which fits none of the annotated images"));
    CHECK(maker.ids("test") == Names{"photos/b", "more/d"});
    CHECK(maker.ids("").size() == 4);
  }
}

TEST_CASE("folder: a list must say which of two images with one name it means") {
  const Maker maker;
  for (const std::string id : {"day/a", "night/a", "night/b"}) maker.pair(id);
  maker.list("train.txt", "night/a\na\nb\n");
  CHECK(maker.ids("train") == Names{"night/a", "night/b"});
  const Dataset data = read_split(maker.find(), "train");
  REQUIRE(data.faults.size() == 1);
  CHECK(contains(data.faults[0].what, "lists a, which fits several annotated images"));
  maker.list("val.txt", "x\n");
  check_note(maker.find(), "val.txt names no annotated image; it is ignored");
}

TEST_CASE("folder: a folder with the name of a split and without labels is said to be left out") {
  const Maker maker;
  maker.pair("train/a");
  maker.image("test/b.jpg");
  const DataFolder found = maker.find();
  CHECK(found.splits == Names{"train"});
  check_note(found, "test holds no labelled images; it is left out");
}
