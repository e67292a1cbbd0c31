#include "data/folder.h"

#include <map>
#include <set>

#include "data/coco_places.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

namespace fs = std::filesystem;

/// Fills a folder. Images are 40 x 30.
struct Maker {
  TemporaryFolder folder;

  const fs::path& root() const { return folder.path(); }
  void image(const std::string& path) const { write_bytes(folder / path, stb_jpeg(smooth_image(40, 30))); }
  /// Writes an annotation with one object of the class, or with none if the name is empty.
  void xml(const std::string& path, const std::string& name = "cat", const std::string& more = "") const {
    const std::string object = name.empty() ? ""
                                            : "<object><name>" + name +
                                                  "</name><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>10</xmax>"
                                                  "<ymax>12</ymax></bndbox></object>";
    write_text(folder / path, "<annotation>" + more + "<size><width>40</width><height>30</height></size>" +
                                  object + "</annotation>");
  }
  /// Writes an image, and its XML in the same folder.
  void pair(const std::string& stem, const std::string& name = "cat") const {
    image(stem + ".jpg");
    xml(stem + ".xml", name);
  }
  /// Writes a COCO file with these images, the first of which has a box.
  void coco(const std::string& path, const std::vector<std::string>& images) const {
    std::string list;
    for (size_t i = 0; i < images.size(); ++i)
      list += fmt::format(R"({}{{"id": {}, "file_name": "{}", "width": 40, "height": 30}})", i ? ", " : "", i,
                          images[i]);
    write_text(folder / path,
               R"({"categories": [{"id": 3, "name": "cat"}], "images": [)" + list +
                   R"(], "annotations": [{"id": 1, "image_id": 0, "category_id": 3, "bbox": [2, 3, 8, 9],)"
                   R"( "area": 72, "iscrowd": 0}]})");
  }
  DataFolder find() const { return find_data(root()); }
  Dataset read(const std::string& split = "") const { return read_split(find(), split); }
};

using Names = std::vector<std::string>;

Names ids(const Dataset& data) {
  Names found;
  for (const Sample& sample : data.samples) found.push_back(sample.id);
  return found;
}

void check_form(const Maker& maker, const std::string& form, const Names& splits) {
  const DataFolder found = maker.find();
  CHECK(found.form == form);
  CHECK(found.splits == splits);
}

const Box kBox{2, 3, 10, 12};  // of every object above

}  // namespace

TEST_CASE("folder: VOC has its splits in order, without the lists of single classes") {
  Maker maker;
  for (const std::string id : {"a", "b", "c", "d"}) {
    maker.image("JPEGImages/" + id + ".jpg");
    maker.xml("Annotations/" + id + ".xml");
  }
  for (const std::string name : {"val", "trainval", "extra", "train", "cat_train", "cat_val", "test"})
    write_text(maker.folder / ("ImageSets/Main/" + name + ".txt"), "b\r\na\r\n");
  check_form(maker, "voc", {"train", "val", "test", "extra", "trainval"});
  CHECK(ids(maker.read("train")) == Names{"b", "a"});
  CHECK(ids(maker.read("valid")) == Names{"b", "a"});
  CHECK(ids(maker.read("")) == Names{"a", "b", "c", "d"});
  CHECK(ids(maker.read("cat_train")) == Names{"b", "a"});
  CHECK(maker.find().has("validation"));
  CHECK_FALSE(maker.find().has("cat_train"));
  const std::string missing = input_error([&] { maker.read("holdout"); });
  CHECK(contains(missing, "no split 'holdout'"));
  CHECK(contains(missing, "train, val, test, extra, trainval"));
}

TEST_CASE("folder: VOC with a list named valid, and trainval from both lists") {
  Maker maker;
  for (const std::string id : {"a", "b"}) {
    maker.image("JPEGImages/" + id + ".jpg");
    maker.xml("Annotations/" + id + ".xml");
  }
  write_text(maker.folder / "ImageSets/Main/train.txt", "a\n");
  write_text(maker.folder / "ImageSets/Main/valid.txt", "b\n");
  check_form(maker, "voc", {"train", "val"});
  CHECK(ids(maker.read("val")) == Names{"b"});
  CHECK(ids(maker.read("trainval")) == Names{"a", "b"});
}

TEST_CASE("folder: VOC without lists is one unnamed split") {
  Maker maker;
  maker.image("JPEGImages/b.JPG");
  maker.image("JPEGImages/\xC3\xA4 b.jpg");
  maker.image("JPEGImages/named otherwise.jpeg");
  maker.image("JPEGImages/unlabelled.jpg");
  maker.xml("Annotations/b.xml");
  maker.xml("Annotations/\xC3\xA4 b.xml", "");
  maker.xml("Annotations/c.xml", "dog", "<filename>named otherwise.png</filename>");
  maker.xml("Annotations/d.xml", "dog", "<filename>b.JPG</filename>");  // the image of b.xml
  write_text(maker.folder / "Annotations/._b.xml", "rubbish of macOS");
  check_form(maker, "voc", {});
  const Dataset data = maker.read();
  CHECK(ids(data) == Names{"b", "c", "\xC3\xA4 b"});
  CHECK(data.samples[1].image.filename() == "named otherwise.jpeg");
  CHECK(data.samples[2].objects.empty());
  CHECK(data.classes == Names{"cat", "dog"});
  REQUIRE(data.faults.size() == 2);
  CHECK(contains(data.faults[0].what, "d.jpg does not exist"));
  CHECK(
      contains(data.faults[1].what, "has 1 image without an annotation (unlabelled.jpg), which is left out"));
  CHECK(contains(input_error([&] { maker.read("train"); }), "its images are not divided into splits"));
}

TEST_CASE("folder: XML beside the images, at any depth") {
  Maker maker;
  maker.pair("z");
  maker.pair("deep/er/\xC3\xA4 1", "dog");
  maker.image("deep/er/b.JPG");
  maker.xml("deep/er/b.xml", "");  // without objects
  maker.image("unlabelled 1.jpg");
  maker.image("deep/unlabelled.png");
  maker.pair(".hidden/a");
  maker.pair("__MACOSX/a");
  check_form(maker, "beside", {});
  const Dataset data = maker.read();
  CHECK(ids(data) == Names{"deep/er/b", "deep/er/\xC3\xA4 1", "z"});
  CHECK(data.classes == Names{"cat", "dog"});
  CHECK(data.samples[0].objects.empty());
  REQUIRE(data.samples[2].objects.size() == 1);
  CHECK(data.samples[2].objects[0] == Object{kBox, 1});
  CHECK(data.samples[2].width == 40);
  REQUIRE(data.faults.size() == 1);
  CHECK(data.faults[0].file == maker.root());
  CHECK(contains(data.faults[0].what, "2 images without an annotation (deep/unlabelled.png is the first)"));
  CHECK(read_split(maker.find(), "", {"dog"}).faults.size() == 2);  // cat is unknown
}

TEST_CASE("folder: XML in a folder beside that of the images, and names that the XML gives") {
  Maker maker;
  maker.image("images/a.jpg");
  maker.xml("annotations/a.xml");
  maker.image("images/photo.1.jpg");
  maker.xml("annotations/p.xml", "cat", "<filename>photo.1</filename>");
  maker.image("images/c.jpeg");
  maker.xml("annotations/x.xml", "cat", "<path>C:\\photos\\c.bmp</path>");
  maker.xml("annotations/lost.xml", "cat", "<filename>nowhere.jpg</filename>");
  // Two that name one image, neither by its own name: it belongs to none of them.
  maker.image("images/d.jpg");
  for (const char* path : {"annotations/once.xml", "annotations/twice.xml"})
    maker.xml(path, "cat", "<filename>d.jpg</filename>");
  maker.xml("images/a.xml");  // as annotations/a.xml
  maker.xml("other.xml", "", "");
  write_text(maker.folder / "annotations/cut.xml", "<annotation><object>");
  const Dataset data = maker.read();
  CHECK(std::set<std::string>{"images/a", "images/photo.1", "images/c"} == [&] {
    const Names found = ids(data);
    return std::set<std::string>(found.begin(), found.end());
  }());
  std::map<std::string, std::string> what;
  for (const Fault& fault : data.faults) what[fault.file.filename().string()] = fault.what;
  CHECK(data.faults.size() == 7);
  CHECK(contains(what["lost.xml"], "'nowhere.jpg'"));
  CHECK(contains(what["once.xml"], "images/d.jpg has that name but fits 2 entries"));
  CHECK(contains(what["twice.xml"], "images/d.jpg has that name but fits 2 entries"));
  CHECK(contains(what[maker.root().filename().string()], "1 image without an annotation (images/d.jpg)"));
  CHECK(contains(what["a.xml"], "does already"));
  CHECK(contains(what["cut.xml"], "not readable XML"));
  CHECK(contains(what["other.xml"], "has no image"));
}

TEST_CASE("folder: the XML's <filename> chooses among images with the same name") {
  Maker maker;
  maker.image("a.jpg");
  write_bytes(maker.folder / "a.png", encode_png(random_image(40, 30)));
  maker.xml("a.xml", "cat", "<filename>a.png</filename>");
  const Dataset data = maker.read();
  REQUIRE(data.samples.size() == 1);
  CHECK(data.samples[0].image.filename() == "a.png");
  REQUIRE(data.faults.size() == 1);
  CHECK(contains(data.faults[0].what, "1 image without an annotation (a.jpg), which is left out"));
}

TEST_CASE("folder: train, valid and test, each in its own layout") {
  Maker maker;
  maker.pair("train/a");
  maker.image("train/images/b.jpg");
  maker.xml("train/b.xml", "dog");
  maker.image("valid/c.jpg");
  maker.image("valid/negative.jpg");
  maker.coco("valid/_annotations.coco.json", {"c.jpg", "negative.jpg"});
  maker.image("test/JPEGImages/d.jpg");
  maker.xml("test/Annotations/d.xml");
  check_form(maker, "splits", {"train", "val", "test"});
  const Dataset train = maker.read("train");
  CHECK(ids(train) == Names{"a", "images/b"});
  CHECK(train.classes == Names{"cat", "dog"});
  for (const std::string name : {"val", "valid"}) {
    const Dataset val = read_split(maker.find(), name, train.classes);
    REQUIRE(val.samples.size() == 2);
    CHECK(val.samples[0].objects[0].box == kBox);
    CHECK(val.samples[1].objects.empty());
  }
  CHECK(ids(maker.read("test")) == Names{"d"});
  CHECK(ids(maker.read("")) == Names{"train/a", "train/images/b", "val/c", "val/negative", "test/d"});
  CHECK(contains(input_error([&] { maker.read("other"); }), "train, val, test"));
}

TEST_CASE("folder: folders without labels are not splits") {
  Maker maker;
  maker.pair("Train/a");
  maker.image("test/b.jpg");
  std::filesystem::create_directories(maker.folder / "valid");
  check_form(maker, "splits", {"train"});
}

TEST_CASE("folder: COCO in its usual places") {
  SUBCASE("a file beside images/") {
    Maker maker;
    maker.image("images/a.jpg");
    maker.image("images/b.jpg");
    maker.coco("instances.json", {"a.jpg", "b.jpg"});
    write_text(maker.folder / "summary.json", "{}");
    check_form(maker, "coco", {});
    CHECK(maker.read().samples.size() == 2);
    const DataFolder single = find_data(maker.folder / "instances.json");
    CHECK(single.form == "coco");
    CHECK(single.splits.empty());
    CHECK(read_split(single, "").samples.size() == 2);
  }
  SUBCASE("annotations/ beside train2017/") {
    Maker maker;
    for (const std::string split : {"train", "val"}) {
      maker.image(split + "2017/a.jpg");
      maker.coco("annotations/instances_" + split + "2017.json", {"a.jpg"});
      maker.coco("annotations/captions_" + split + "2017.json", {"a.jpg"});
      maker.coco("annotations/person_keypoints_" + split + "2017.json", {"a.jpg"});
    }
    check_form(maker, "coco", {"train", "val"});
    const Dataset val = maker.read("val");
    REQUIRE(val.samples.size() == 1);
    CHECK(val.samples[0].image.parent_path().filename() == "val2017");
    CHECK(maker.read("").samples.size() == 2);
    CHECK_FALSE(maker.read("").samples[0].coco_id.has_value());
  }
  SUBCASE("images beside the file, and in images/<split>") {
    Maker maker;
    maker.image("a.jpg");
    maker.coco("train.json", {"a.jpg"});
    maker.image("images/val/b.jpg");
    maker.image("images/val/c.jpg");
    maker.coco("bccd_val.json", {"b.jpg", "c.jpg"});
    check_form(maker, "coco", {"train", "val"});
    CHECK(maker.read("train").samples.size() == 1);
    CHECK(maker.read("val").samples.size() == 2);
  }
  SUBCASE("split folders of images alone, JSON in annotations/") {
    Maker maker;
    maker.image("train/a.jpg");
    maker.image("val/a.jpg");
    maker.coco("annotations/train.json", {"a.jpg"});
    maker.coco("annotations/val.json", {"val/a.jpg"});
    check_form(maker, "coco", {"train", "val"});
    CHECK(maker.read("train").samples[0].image.parent_path().filename() == "train");
    CHECK(maker.read("val").samples[0].image.parent_path().filename() == "val");
  }
}

TEST_CASE("folder: splits in the names of COCO files") {
  Maker maker;
  const Names files = {"instances_train2014", "instances_train2017", "new", "person_keypoints_val2017",
                       "captions_train2017",  "train_and_test",      "TEST"};
  for (const std::string& file : files) maker.coco(file + ".json", {"a.jpg"});
  std::map<std::string, std::string> found;
  for (const CocoPlace& place : find_coco_files(maker.root()))
    found[place.split] = place.file.stem().string();
  const std::map<std::string, std::string> expected = {
      {"train", "instances_train2014"},    {"instances_train2017", "instances_train2017"}, {"new", "new"},
      {"val", "person_keypoints_val2017"}, {"train_and_test", "train_and_test"},           {"test", "TEST"}};
  CHECK(found == expected);
}

TEST_CASE("folder: several layouts fit") {
  Maker maker;
  maker.pair("loose");
  check_form(maker, "beside", {});
  maker.pair("test/a");
  check_form(maker, "beside", {});  // annotations directly in the folder, and no train/
  maker.image("images/a.jpg");
  maker.coco("instances.json", {"a.jpg"});
  check_form(maker, "coco", {});
  maker.pair("train/a");
  check_form(maker, "splits", {"train", "test"});
  maker.image("JPEGImages/a.jpg");
  maker.xml("Annotations/a.xml");
  check_form(maker, "voc", {});
}

TEST_CASE("folder: a folder without labelled images") {
  const Maker maker;
  const auto sentence = [&] { return input_error([&] { maker.find(); }); };
  CHECK(contains(sentence(), "0 images, 0 XML, 0 JSON and 0 text files"));
  CHECK(contains(sentence(), maker.root().string()));
  for (const std::string word : {"Pascal VOC", "JPEGImages", "beside the images", "COCO JSON", "train/"})
    CHECK(contains(sentence(), word));
  maker.image("a.jpg");
  write_text(maker.folder / "a.txt", "thanks");
  write_text(maker.folder / "a.xml", "<html/>");
  write_text(maker.folder / "a.json", "[]");
  CHECK(contains(sentence(), "1 image, 1 XML, 1 JSON and 1 text files"));
  CHECK(contains(input_error([&] { find_data(maker.folder / "none"); }), "none does not exist"));
  CHECK(contains(input_error([&] { find_data(maker.folder / "a.json"); }), "a.json is not a COCO file"));
  CHECK(contains(input_error([&] { find_data(maker.folder / "a.jpg"); }), "a.jpg is not a COCO file"));
}

TEST_CASE("folder: annotations without any object, or without any image") {
  Maker maker;
  maker.pair("a", "");
  CHECK(contains(input_error([&] { maker.read(); }), "no object"));
  CHECK(read_split(maker.find(), "", {"cat"}).samples.size() == 1);
  std::filesystem::remove(maker.folder / "a.jpg");
  CHECK(contains(input_error([&] { maker.read(); }), "has no image"));
}
