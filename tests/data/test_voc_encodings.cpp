// VOC annotations with unusual texts, elements and names of files.
#include "data/folder.h"
#include "data/voc.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

std::string object_xml(const std::string& name, const std::string& boxes =
                                                    "<bndbox><xmin>3</xmin><ymin>4</ymin>"
                                                    "<xmax>10</xmax><ymax>12</ymax></bndbox>") {
  return "<object><name>" + name + "</name>" + boxes + "</object>";
}

std::string annotation_xml(const std::string& objects) {
  return "<annotation><size><width>40</width><height>30</height></size>" + objects + "</annotation>";
}

std::string declaration(const std::string& encoding) {
  return "<?xml version=\"1.0\" encoding=\"" + encoding + "\"?>";
}

/// A VOC folder without lists, with a good image of a cat.
struct VocFolder {
  TemporaryFolder folder;

  VocFolder() { add("good", annotation_xml(object_xml("cat"))); }
  void image(const std::string& name) const {
    write_bytes(folder / ("JPEGImages/" + name), stb_jpeg(smooth_image(40, 30)));
  }
  void add(const std::string& id, const std::string& xml, const std::string& extension = ".xml") const {
    image(id + ".jpg");
    write_text(folder / ("Annotations/" + id + extension), xml);
  }
  Dataset read() const { return read_voc(folder.path(), ""); }
  /// Reads the folder, which must have one fault with these words.
  Dataset read_with_fault(const std::string& words) const {
    Dataset data = read();
    REQUIRE(data.faults.size() == 1);
    CAPTURE(data.faults[0].what);
    CHECK(contains(data.faults[0].what, words));
    CHECK(data.faults[0].what.ends_with('.'));
    return data;
  }
};

using Names = std::vector<std::string>;

const Box kBox{2, 3, 10, 12};

}  // namespace

TEST_CASE("voc encodings: class names are UTF-8, whatever the file declares") {
  const VocFolder voc;
  voc.add("a", declaration("windows-1252") + annotation_xml(object_xml("b\xE4r")));
  voc.add("b", declaration("GB2312") + annotation_xml(object_xml("\xC3\xA8")));
  voc.add("c", "\xEF\xBB\xBF" + annotation_xml(object_xml("b\xC3\xA4r")));
  const Dataset data = voc.read();
  CHECK(data.faults.empty());
  CHECK(data.classes == Names{"b\xC3\xA4r", "cat", "\xE7\x8C\xAB"});
  REQUIRE(data.samples.size() == 4);
  CHECK(data.samples[0].objects == std::vector{Object{kBox, 1}});
  CHECK(data.samples[1].objects == std::vector{Object{kBox, 3}});
  CHECK(data.samples[2].objects == std::vector{Object{kBox, 1}});
}

TEST_CASE("voc encodings: a class name that is not UTF-8 is a fault, and does not become a class") {
  for (const std::string start :
       {"", "<?xml version=\"1.0\"?>", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"}) {
    const VocFolder voc;
    voc.add("a", start + annotation_xml(object_xml("caf\xE9") + object_xml("cat")));
    const Dataset data = voc.read_with_fault("has the class name 'caf\\xE9' in object 1, which is not UTF-8");
    CHECK(data.classes == Names{"cat"});
    REQUIRE(data.samples.size() == 2);
    CHECK(data.samples[0].objects == std::vector{Object{kBox, 1}});
  }
}

TEST_CASE("voc encodings: an encoding that is unknown or wrong skips the image, with a sentence") {
  VocFolder voc;
  voc.add("a", declaration("klingon") + annotation_xml(object_xml("cat")));
  CHECK(voc.read_with_fault("declares the encoding 'KLINGON', which is unknown").samples.size() == 1);
  voc.add("a", declaration("EUC-JP") + annotation_xml(object_xml("\xFF")));
  CHECK(voc.read_with_fault("do not belong").samples.size() == 1);
  // A folder in which all files are like that is still one of annotations.
  for (const char* id : {"a", "good"})
    write_text(voc.folder / ("Annotations/" + std::string(id) + ".xml"),
               declaration("klingon") + annotation_xml(object_xml("cat")));
  const DataFolder found = find_data(voc.folder.path());
  CHECK(found.form == "voc");
  CHECK(contains(input_error([&] { read_split(found, ""); }), "'KLINGON'"));
}

TEST_CASE("voc encodings: control characters in a class name are shown escaped") {
  const VocFolder voc;
  voc.add("a", annotation_xml(object_xml("&#27;[31mcat")));
  CHECK(voc.read().classes == Names{"\\x1B[31mcat", "cat"});
}

TEST_CASE("voc encodings: a file name that is not UTF-8 has an id that is") {
  VocFolder voc;
  voc.add("caf\xE9", annotation_xml(object_xml("cat")));
  voc.add("caf\\xE9", annotation_xml(object_xml("cat")));  // the name that the other one looks like
  voc.add(" lead", annotation_xml(object_xml("cat")));
  voc.add("two\nlines", annotation_xml(object_xml("cat")));
  write_text(voc.folder / "ImageSets/Main/train.txt",
             "caf\xE9\ncaf\\x5CxE9\ngood\n\\x20lead\ntwo\\x0Alines\n");
  const Dataset data = read_voc(voc.folder.path(), "train");
  CHECK(data.faults.empty());
  Names ids;
  for (const Sample& sample : data.samples) ids.push_back(sample.id);
  CHECK(ids == Names{"caf\\xE9", "caf\\x5CxE9", "good", "\\x20lead", "two\\x0Alines"});
  CHECK(data.samples[0].image.filename() == "caf\xE9.jpg");

  // Lists of ids are read back, too, and so are lists with the names of the files.
  write_id_list(voc.folder / "ids.txt", data);
  CHECK(take_samples(data, read_id_list(voc.folder / "ids.txt"), "ids.txt").samples.size() == 5);
  CHECK(take_samples(data, {"caf\xE9"}, "ids.txt").samples[0].image.filename() == "caf\xE9.jpg");
}

TEST_CASE("voc: annotations with their extension in capitals") {
  const VocFolder voc;
  voc.add("a", annotation_xml(object_xml("dog")), ".XML");
  const Dataset data = voc.read();
  CHECK(data.faults.empty());
  CHECK(data.classes == Names{"cat", "dog"});
  write_text(voc.folder / "ImageSets/Main/train.txt", "a\ngood\n");
  CHECK(read_voc(voc.folder.path(), "train").samples.size() == 2);
}

TEST_CASE("voc: images without an annotation are counted if there is no list") {
  const VocFolder voc;
  voc.image("x.jpg");
  voc.image("y.jpeg");
  voc.read_with_fault("has 2 images without an annotation (x.jpg is the first), which are left out");
  write_text(voc.folder / "ImageSets/Main/train.txt", "good\n");
  CHECK(read_voc(voc.folder.path(), "train").faults.empty());
}

TEST_CASE("voc: several boxes of an object, each read, and several annotations in a file") {
  VocFolder voc;
  const std::string box = "<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>10</xmax><ymax>12</ymax></bndbox>";
  const std::string other = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>";
  voc.add("a", annotation_xml(object_xml("cat", box + other)));
  const Dataset data = voc.read_with_fault("has 2 boxes in object 1 (cat); each is read as an object");
  CHECK(data.samples[0].objects == std::vector{Object{kBox, 1}, Object{{0, 0, 2, 2}, 1}});
  voc.add("a", annotation_xml(object_xml("cat")) + annotation_xml(object_xml("dog")));
  CHECK(voc.read_with_fault("has 2 <annotation> elements; only the first is read").classes == Names{"cat"});
}

TEST_CASE("voc: elements in any case") {
  const VocFolder voc;
  voc.add("a", annotation_xml(object_xml("cat",
                                         "<bndbox><Xmin>3</Xmin><YMIN>4</YMIN><Xmax>10</Xmax><Ymax>12</Ymax>"
                                         "</bndbox>")));
  const Dataset data = voc.read();
  CHECK(data.faults.empty());
  CHECK(data.samples[0].objects == std::vector{Object{kBox, 1}});
}

TEST_CASE("voc: an image that two annotations name belongs to neither, with or without one of its own") {
  const VocFolder voc;
  voc.image("x.jpg");
  for (const char* id : {"a", "b"})
    write_text(voc.folder / ("Annotations/" + std::string(id) + ".xml"),
               "<annotation><filename>x.jpg</filename><size><width>40</width><height>30</height></size>" +
                   object_xml("cat") + "</annotation>");
  const Dataset data = voc.read();
  REQUIRE(data.samples.size() == 1);
  CHECK(data.samples[0].id == "good");
  REQUIRE(data.faults.size() == 3);
  for (size_t i = 0; i < 2; ++i) {
    CHECK(data.faults[i].kind == FaultKind::missing_image);
    CHECK(data.faults[i].file.filename() == (i == 0 ? "a.jpg" : "b.jpg"));
    CHECK(contains(data.faults[i].what, "JPEGImages/x.jpg has that name but fits 2 entries"));
  }
  CHECK(contains(data.faults[2].what, "1 image without an annotation (x.jpg)"));

  write_text(voc.folder / "Annotations/x.xml", annotation_xml(object_xml("dog")));
  const Dataset own = voc.read();
  REQUIRE(own.samples.size() == 2);
  CHECK(own.samples[1].id == "x");
  CHECK(own.samples[1].objects == std::vector{Object{kBox, 2}});
  REQUIRE(own.faults.size() == 2);
  for (const Fault& fault : own.faults)
    CHECK(contains(fault.what, "JPEGImages/x.jpg has that name but belongs to another entry"));
}

TEST_CASE("voc: images as .jfif, .jpe and .bmp") {
  const VocFolder voc;
  for (const std::string name : {"a.jfif", "b.JPE"}) {
    voc.image(name);
    write_text(voc.folder / ("Annotations/" + name.substr(0, 1) + ".xml"), annotation_xml(object_xml("cat")));
  }
  CHECK(voc.read().samples.size() == 3);
  CHECK(voc.read().faults.empty());
}
