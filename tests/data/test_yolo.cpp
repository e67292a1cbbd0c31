// YOLO's labels, data.yaml and the layouts around them.
#include "data/yolo.h"

#include <chrono>

#include "data/annotation.h"
#include "data/folder.h"
#include "tests/data/label_folder.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Names = std::vector<std::string>;

/// Fills a folder. Images are 40 x 30.
struct Maker : LabelFolder {
  /// <part>/images/<stem>.jpg and <part>/labels/<stem>.txt, with the box 10 6 30 24 of the class 1.
  void pair(const std::string& part, const std::string& stem) const {
    image(part + "images/" + stem + ".jpg");
    text(part + "labels/" + stem + ".txt", "1 0.5 0.5 0.5 0.6\n");
  }
  Names ids(const std::string& split) const {
    Names found;
    for (const Sample& sample : read(split).samples) found.push_back(sample.id);
    return found;
  }
};

std::vector<NamedObject> read_lines_of(const std::string& lines, std::vector<Fault>& faults,
                                       bool has_keypoints = false) {
  const TemporaryFolder folder;
  write_text(folder / "a.txt", lines);
  YoloData data;
  data.names = {"cat", "dog"};
  data.has_keypoints = has_keypoints;
  return read_yolo_labels(folder / "a.txt", data, {40, 30}, faults);
}

}  // namespace

TEST_CASE("yolo: a label gives a class and a box in shares of the image, an outline the box around it") {
  std::vector<Fault> faults;
  const auto objects = read_lines_of(
      "1 0.5 0.5 0.5 0.6\r\n"
      "0\t0.25 0.1 0.5 0.2 \n"
      "\n"
      "1 0.1 0.2 0.6 0.3 0.3 0.9\n"           // a triangle
      "0 0.5 0.500001 1.000002 1.000002\n"    // six digits, rounded beyond the edge
      "1 0.1 0.1 0.9 0.1 0.9 0.8 0.1 0.8\n",  // a box by its corners, as for turned boxes
      faults);
  CHECK(faults.empty());
  REQUIRE(objects.size() == 5);
  CHECK(objects[0].name == "dog");
  CHECK(objects[0].object.box == Box{10, 6, 30, 24});
  CHECK(objects[1].name == "cat");
  CHECK(objects[1].object.box == Box{0, 0, 20, 6});
  CHECK(objects[2].object.box == Box{4, 6, 24, 27});
  CHECK(objects[3].object.box == Box{0, 0, 40, 30});
  CHECK(objects[4].object.box == Box{4, 3, 36, 24});

  // Two key points follow a box where data.yaml says so; they would be taken for an outline otherwise.
  const auto pose = read_lines_of("0 0.5 0.5 0.5 0.6 0.1 0.1 0.9 0.9\n", faults, true);
  REQUIRE(pose.size() == 1);
  CHECK(pose[0].object.box == Box{10, 6, 30, 24});
}

TEST_CASE("yolo: a line that is no label is a fault that quotes it") {
  const std::pair<const char*, const char*> cases[] = {
      {"2 0.5 0.5 0.5 0.6", "whose class is not one of the 2"},
      {"-1 0.5 0.5 0.5 0.6", "expected a class and four numbers"},
      {"0.5 0.5 0.5 0.5 0.6", "expected a class and four numbers"},
      {"cat 0.5 0.5 0.5 0.6", "expected a class and four numbers"},
      {"0 0.5 0.5 0.5", "expected a class and four numbers"},
      {"0 0.5 0.5 nan 0.6", "expected a class and four numbers"},
      {"0 0.5 0.5 0.5 0.6 0.9", "which has six numbers, as a detection with its confidence"},
      {"0 0.5 0.5 0 0.6", "whose box has no area"},
      {"0 0.5 0.5 -0.2 0.6", "whose box has no area"},
  };
  for (const auto& [line, words] : cases) {
    CAPTURE(line);
    std::vector<Fault> faults;
    CHECK(read_lines_of(std::string("0 0.5 0.5 0.5 0.6\n") + line, faults).size() == 1);
    REQUIRE(faults.size() == 1);
    CAPTURE(faults[0].what);
    CHECK(contains(faults[0].what, std::string("has the label 2 (") + line + ")"));
    CHECK(contains(faults[0].what, words));
  }
}

TEST_CASE("yolo: data.yaml gives classes in their order and splits by folders, lists of folders and lists") {
  for (const std::string names : {"names: [cat, dog, cow]", "names:\n  0: cat\n  1: dog\n  2: cow",
                                  "names:\n- cat\n- dog\n- cow", "nc: 3\nnames: ['cat', \"dog\", cow]"}) {
    CAPTURE(names);
    const Maker maker;
    maker.pair("train/", "a");
    maker.pair("more/", "b");
    maker.pair("valid/", "c");
    maker.pair("t/", "d");
    maker.pair("t/", "e");
    maker.text("t/list.txt", "./images/d.jpg\nimages/none.jpg\n");
    // Roboflow writes ../ in front of folders that lie beside data.yaml.
    maker.text("data.yaml", "train: [../train/images, more/images]\nval: valid/images\ntest: t/list.txt\n" +
                                names + "\nroboflow:\n  project: x\n");
    const DataFolder found = maker.find();
    CHECK(found.form == "yolo");
    CHECK(found.splits == Names{"train", "val", "test"});
    CHECK(found.notes.empty());
    CHECK(maker.ids("train") == Names{"a", "b"});
    CHECK(maker.ids("val") == Names{"c"});
    const Dataset test = maker.read("test");
    CHECK(test.classes == Names{"cat", "dog", "cow"});
    REQUIRE(test.samples.size() == 1);
    CHECK(test.samples[0].id == "d");
    REQUIRE(test.samples[0].objects.size() == 1);
    CHECK(test.samples[0].objects[0].label == 2);
    CHECK(test.samples[0].objects[0].box == Box{10, 6, 30, 24});
    REQUIRE(test.faults.size() == 1);
    CHECK(contains(test.faults[0].what, "lists images/none.jpg, which does not exist"));
  }
}

TEST_CASE("yolo: `path`, absolute paths of another machine and trees of images/ and labels/") {
  const Maker maker;
  for (const std::string split : {"train2017", "val2017"}) {
    maker.image("set/images/" + split + "/a.jpg");
    maker.text("set/labels/" + split + "/a.txt", "0 0.5 0.5 0.5 0.6\n");
  }
  maker.text("coco.yml",
             "path: /data/somewhere/set\ntrain: images/train2017\nval: images\\val2017\ntest:\n"
             "names: {0: person}\n");
  maker.text("set/images/train2017/deeper/b.txt", "0 0.5 0.5 0.5 0.6\n");
  maker.image("set/images/train2017/deeper/b.jpg");  // its label lies beside it
  CHECK(maker.find().splits == Names{"train", "val"});
  CHECK(maker.ids("train") == Names{"a", "deeper/b"});

  const Maker moved;
  moved.pair("train/", "a");
  moved.text("data.yaml", "train: C:\\users\\x\\export\\train\\images\nval: /x/valid/images\nnc: 2\n");
  const DataFolder found = moved.find();
  CHECK(found.splits == Names{"train"});
  REQUIRE(found.notes.size() == 1);
  CHECK(contains(found.notes[0], "gives val as /x/valid/images, which does not exist; it is left out"));
  CHECK(moved.read("train").classes == Names{"class_0", "class_1"});
}

TEST_CASE("yolo: classes.txt may have a hundred thousand names, which are compared once") {
  const Maker maker;
  maker.pair("", "a");
  const auto with = [&](int count) {
    std::string names;
    for (int i = 0; i < count; ++i) names += fmt::format("class {}\n", i);
    maker.text("classes.txt", names);
  };
  with(100'000);
  const auto start = std::chrono::steady_clock::now();
  CHECK(maker.read("").classes.size() == 100'000);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
  with(100'001);
  CHECK(contains(input_error([&] { maker.read(""); }), "has 100001 classes; at most 100000 are read"));
  maker.text("classes.txt", "cat\n" + std::string(100'000, 'x') + "\n");
  CHECK(contains(input_error([&] { maker.read(""); }), "name is 100000 bytes long"));
}

TEST_CASE("yolo: without data.yaml the classes come from classes.txt, or a sentence says what is missing") {
  const Maker maker;
  maker.pair("", "a");
  maker.pair("", "b");
  CHECK(maker.find().form == "yolo");
  CHECK(contains(input_error([&] { maker.read(); }),
                 "neither a data.yaml nor a classes.txt. Write classes.txt with one name per line"));
  for (const std::string file : {"classes.txt", "labels/classes.txt", "obj.names"}) {
    maker.text(file, "cat\r\ndog\r\n");
    CHECK(maker.read().classes == Names{"cat", "dog"});
    CHECK(maker.ids("") == Names{"a", "b"});
    maker.text(file, "cat\n\ndog\n\n");  // dog would have the number 2
    CHECK(contains(input_error([&] { maker.read(); }), "has an empty name for the class 1"));
    std::filesystem::remove(maker.folder / file);
  }

  const Maker beside;  // labels beside the images, and lists, as Darknet and CVAT write them
  for (const std::string stem : {"a", "b", "c"}) {
    beside.image("obj_train_data/" + stem + ".jpg");
    beside.text("obj_train_data/" + stem + ".txt", "0 0.5 0.5 0.5 0.6\n");
  }
  beside.text("obj.names", "cat\n");
  beside.text("train.txt", "data/obj_train_data/a.jpg\ndata/obj_train_data/c.jpg\n");
  beside.text("valid.txt", "data/obj_train_data/b.jpg\n");
  CHECK(beside.find().splits == Names{"train", "val"});
  CHECK(beside.ids("train") == Names{"a", "c"});
  CHECK(beside.ids("val") == Names{"b"});

  const Maker tree;
  for (const std::string split : {"train", "val"}) {
    tree.image("images/" + split + "/a.png");
    tree.text("labels/" + split + "/a.txt", "0 0.5 0.5 0.5 0.6\n");
  }
  tree.text("classes.txt", "cat\n");
  CHECK(tree.find().splits == Names{"train", "val"});
}

TEST_CASE("yolo: an empty label is an image without objects, a missing one is counted") {
  const Maker maker;
  maker.pair("train/", "a");
  maker.image("train/images/b.jpg");
  maker.text("train/labels/b.txt", "");
  maker.image("train/images/c.jpg");
  maker.text("data.yaml", "train: train/images\nnames: [cat, dog]\n");
  const Dataset data = maker.read("train");
  REQUIRE(data.samples.size() == 2);
  CHECK(data.samples[1].objects.empty());
  REQUIRE(data.faults.size() == 1);
  CHECK(contains(data.faults[0].what, "has 1 image without an annotation (train/images/c.jpg)"));
}

TEST_CASE("yolo: labels are recognised behind any number of empty ones") {
  const LabelFolder folder;
  for (int i = 0; i < 60; ++i) {
    folder.image(fmt::format("images/{:02}.jpg", i));
    folder.text(fmt::format("labels/{:02}.txt", i), i == 59 ? "0 .5 .5 .2 .2\n" : "");
  }
  folder.text("classes.txt", "cat\n");
  CHECK(folder.find().form == "yolo");
  CHECK(folder.read().samples.size() == 60);
}

TEST_CASE("yolo: boxes are those of the image as it is seen") {
  const Maker maker;
  write_bytes(maker.folder / "images/a.jpg", with_exif(stb_jpeg(smooth_image(40, 30)), exif_block(6)));
  maker.text("labels/a.txt", "0 0.5 0.25 0.2 0.1\n");
  maker.text("classes.txt", "cat\n");
  const Dataset data = maker.read();
  REQUIRE(data.samples.size() == 1);
  CHECK(data.samples[0].width == 30);
  REQUIRE(data.samples[0].objects.size() == 1);
  CHECK(data.samples[0].objects[0].box == Box{12, 8, 18, 12});
  REQUIRE(data.faults.size() == 1);  // labels do not say how large the image was
  CHECK(contains(data.faults[0].what, "--exif-boxes"));

  // Said otherwise: 16 6 24 9 in the stored image of 40 x 30 pixels, which is turned clockwise to be seen.
  DataFolder stored = maker.find();
  stored.options.exif_boxes = ExifBoxes::stored;
  CHECK(read_split(stored, "").samples[0].objects[0].box == Box{21, 16, 24, 24});
}

TEST_CASE("yolo: what is wrong with data.yaml is said") {
  const std::pair<const char*, const char*> cases[] = {
      {"train: x\nnames: [cat\n", "is not YAML"},
      {"train: train/images\nnames: []\n", "has no `names` of classes"},
      {"train: train/images\nnames: [cat, '']\n", "has an empty name for the class 1"},
      {"train: train/images\nnames: [\"\xE9t\xE9\"]\n", ""},
      {"train: train/images\nnames: [[cat]]\n", "a name of a class is not a text"},
      {"train: train/images\nnames: {a: cat}\n", "the keys of `names` are not all numbers"},
      {"train: train/images\nnames: {99999999: cat}\n", "the keys of `names` are not all numbers"},
      {"train: train/images\nnc: many\n", "`nc` is not a number of classes"},
      {"train: other/images\nnames: [cat, dog]\n",
       "gives the training images as other/images, which does not"},
  };
  for (const auto& [text, words] : cases) {
    CAPTURE(text);
    const Maker maker;
    maker.pair("train/", "a");
    maker.text("data.yaml", text);
    CHECK(contains(input_error([&] { maker.find(); }), words));
  }
  const Maker maker;
  maker.pair("train/", "a");
  maker.text("data.yaml", "train: train/images\nnc: 1\nnames: [cat, dog, cat]\n");
  REQUIRE(maker.find().notes.size() == 1);
  CHECK(contains(maker.find().notes[0], "says nc: 1, but names 3 classes"));
  CHECK(maker.read("train").classes == Names{"cat", "dog"});
}
