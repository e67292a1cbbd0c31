#include "data/voc.h"

#include "data/scenes.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

std::string object_xml(const std::string& name, const std::string& xmin, const std::string& ymin,
                       const std::string& xmax, const std::string& ymax, const std::string& more = "") {
  return "<object><name>" + name + "</name>" + more + "<bndbox><xmin>" + xmin + "</xmin><ymin>" + ymin +
         "</ymin><xmax>" + xmax + "</xmax><ymax>" + ymax + "</ymax></bndbox></object>";
}

std::string annotation_xml(const std::string& objects,
                           const std::string& size = "<size><width>40</width><height>30</height></size>") {
  return "<annotation><filename>x.jpg</filename>" + size + objects + "</annotation>";
}

/// Fills a VOC folder. Images are 40 x 30.
struct VocFolder {
  TemporaryFolder folder;

  VocFolder() {
    for (const char* part : {"JPEGImages", "Annotations", "ImageSets/Main"})
      std::filesystem::create_directories(folder / part);
  }
  void image(const std::string& file_name) const {
    write_bytes(folder / ("JPEGImages/" + file_name), stb_jpeg(smooth_image(40, 30)));
  }
  void annotation(const std::string& id, const std::string& xml) const {
    write_text(folder / ("Annotations/" + id + ".xml"), xml);
  }
  void list(const std::string& split, const std::string& lines) const {
    write_text(folder / ("ImageSets/Main/" + split + ".txt"), lines);
  }
  Dataset read(const std::string& split = "train", const std::vector<std::string>& classes = {}) const {
    return read_voc(folder.path(), split, classes);
  }
};

const std::string kGoodObject = object_xml("cat", "3", "4", "10", "12");

/// A folder with a good image `good`, and an image `bad` with the given annotation.
struct OneBad : VocFolder {
  explicit OneBad(const std::string& xml) {
    image("good.jpg");
    image("bad.jpg");
    annotation("good", annotation_xml(kGoodObject));
    annotation("bad", xml);
    list("train", "good\nbad\n");
  }
};

/// Reads the folder and expects one fault, in the file `bad.xml`, whose message has all of `words`.
Dataset read_with_fault(const VocFolder& voc, const std::vector<std::string>& words,
                        const std::vector<std::string>& classes = {}, const std::string& file = "bad.xml") {
  Dataset data = voc.read("train", classes);
  REQUIRE(data.faults.size() == 1);
  const Fault& fault = data.faults[0];
  INFO(fault.what);
  CHECK(fault.file.filename() == file);
  CHECK(contains(fault.what, file));
  CHECK(fault.what.back() == '.');
  for (const std::string& word : words) {
    INFO(word);
    CHECK(contains(fault.what, word));
  }
  return data;
}

/// The objects that are left of an image whose annotation has one bad object and a good one after it.
std::vector<Object> objects_beside(const std::string& bad_object, const std::vector<std::string>& words,
                                   const std::vector<std::string>& classes = {}) {
  const OneBad voc(annotation_xml(bad_object + kGoodObject));
  const Dataset data = read_with_fault(voc, words, classes);
  REQUIRE(data.samples.size() == 2);
  CHECK(data.samples[1].objects.back() == data.samples[0].objects.front());
  return data.samples[1].objects;
}

}  // namespace

TEST_CASE("voc: pixels counted from 1, with both ends included, become the area that they cover") {
  VocFolder voc;
  voc.image("a.jpg");
  voc.annotation(
      "a", annotation_xml(object_xml("dog", "1", "1", "40", "30", "<difficult>1</difficult>") +
                          object_xml("cat", "10.5", "11.25", "20.5", "21", "<difficult>0</difficult>")));
  voc.list("train", "a\n");
  const Dataset data = voc.read();
  CHECK(data.faults.empty());
  CHECK(data.classes == std::vector<std::string>{"cat", "dog"});
  REQUIRE(data.samples.size() == 1);
  const Sample& sample = data.samples[0];
  CHECK(sample.id == "a");
  CHECK(sample.image.filename() == "a.jpg");
  CHECK(sample.width == 40);
  CHECK(sample.height == 30);
  REQUIRE(sample.objects.size() == 2);
  CHECK(sample.objects[0] == Object{{0, 0, 40, 30}, 2, true});
  CHECK(sample.objects[1] == Object{{9.5f, 10.25f, 20.5f, 21}, 1, false});
  CHECK(count_boxes(data) == 2);
  CHECK(count_boxes_by_class(data) == std::vector<size_t>{1, 1});
}

TEST_CASE("voc: the given classes decide the labels") {
  VocFolder voc;
  voc.image("a.jpg");
  voc.annotation("a", annotation_xml(kGoodObject));
  voc.list("train", "a");
  const Dataset data = voc.read("train", {"dog", "cat"});
  CHECK(data.classes == std::vector<std::string>{"dog", "cat"});
  CHECK(data.samples[0].objects[0].label == 2);
  CHECK(contains(input_error([&] { voc.read("train", {"cat", "cat"}); }), "twice"));
}

TEST_CASE("voc: parts of an object are not objects") {
  VocFolder voc;
  voc.image("a.jpg");
  voc.annotation("a", annotation_xml(object_xml(
                          "person", "2", "2", "30", "30",
                          "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax>"
                          "<ymax>4</ymax></bndbox></part>")));
  voc.list("train", "a");
  const Dataset data = voc.read();
  CHECK(data.classes == std::vector<std::string>{"person"});
  REQUIRE(count_boxes(data) == 1);
  CHECK(data.samples[0].objects[0].box == Box{1, 1, 30, 30});
}

TEST_CASE("voc: lists with Windows line ends, blank lines, a second column and names with spaces") {
  VocFolder voc;
  for (const std::string id : {"a", "b", "c", "my photo 1"}) {
    voc.image(id + ".jpg");
    voc.annotation(id, annotation_xml(kGoodObject));
  }
  voc.list("train",
           "\xEF\xBB\xBF"
           "a  1\r\n\r\nb -1\r\n   \r\nc 0\r\nmy photo 1");
  const Dataset data = voc.read();
  CHECK(data.faults.empty());
  REQUIRE(data.samples.size() == 4);
  CHECK(data.samples[0].id == "a");
  CHECK(data.samples[1].id == "b");
  CHECK(data.samples[2].id == "c");
  CHECK(data.samples[3].id == "my photo 1");
}

TEST_CASE("voc: images with any of the extensions, in any case") {
  VocFolder voc;
  voc.list("train", "a\nb\nc\nd\n");
  for (const std::string file : {"a.jpg", "b.JPG", "c.jpeg", "d.PnG"}) voc.image(file);
  voc.image("a.png");
  for (const std::string id : {"a", "b", "c", "d"}) voc.annotation(id, annotation_xml(kGoodObject));
  const Dataset data = voc.read();
  REQUIRE(data.samples.size() == 4);
  CHECK(data.samples[0].image.filename() == "a.jpg");
  CHECK(data.samples[3].image.filename() == "d.PnG");
}

TEST_CASE("voc: trainval is train and val if it has no list") {
  VocFolder voc;
  for (const std::string id : {"a", "b", "c"}) {
    voc.image(id + ".jpg");
    voc.annotation(id, annotation_xml(kGoodObject));
  }
  voc.list("train", "b\na\n");
  CHECK(contains(input_error([&] { voc.read("trainval"); }), "trainval.txt"));
  voc.list("val", "c\na\n");
  const Dataset data = voc.read("trainval");
  CHECK(data.faults.empty());
  REQUIRE(data.samples.size() == 3);
  CHECK(data.samples[0].id == "b");
  CHECK(data.samples[1].id == "a");
  CHECK(data.samples[2].id == "c");
  voc.list("trainval", "c\n");
  CHECK(voc.read("trainval").samples.size() == 1);
}

TEST_CASE("voc: a reversed box is skipped") {
  CHECK(objects_beside(object_xml("cat", "20", "5", "10", "9"), {"reversed", "object 1", "cat", "20 5 10 9"})
            .size() == 1);
  CHECK(objects_beside(object_xml("cat", "2", "9", "10", "5"), {"reversed"}).size() == 1);
}

TEST_CASE("voc: a box of zero area is skipped") {
  CHECK(objects_beside(object_xml("cat", "7", "5", "7", "9"), {"zero area", "object 1", "7 5 7 9"}).size() ==
        1);
  CHECK(objects_beside(object_xml("cat", "7", "9", "8", "9"), {"zero area"}).size() == 1);
}

TEST_CASE("voc: a box wholly outside the image is skipped") {
  CHECK(objects_beside(object_xml("cat", "41", "5", "50", "9"), {"wholly outside", "40 x 30", "41 5 50 9"})
            .size() == 1);
  CHECK(objects_beside(object_xml("cat", "5", "-9", "9", "0"), {"wholly outside"}).size() == 1);
}

TEST_CASE("voc: a box partly outside the image is clipped and kept") {
  const std::vector<Object> objects =
      objects_beside(object_xml("cat", "-5", "0", "50", "31"), {"partly outside", "clipped", "-5 0 50 31"});
  REQUIRE(objects.size() == 2);
  CHECK(objects[0].box == Box{0, 0, 40, 30});
}

TEST_CASE("voc: an object with a coordinate that is missing or not a number is skipped") {
  for (const std::string bad : {"twelve", "", "1e99", "nan", "inf", "12px"}) {
    INFO(bad);
    CHECK(objects_beside(object_xml("cat", "1", bad, "5", "9"), {"ymin", "'" + bad + "'", "number"}).size() ==
          1);
  }
  CHECK(objects_beside("<object><name>cat</name></object>", {"xmin", "number"}).size() == 1);
}

TEST_CASE("voc: an object of an unknown class, or without a name, is skipped") {
  CHECK(objects_beside(object_xml("lynx", "1", "2", "5", "9"), {"unknown class", "'lynx'", "cat, dog"},
                       {"cat", "dog"})
            .size() == 1);
  CHECK(objects_beside(object_xml("", "1", "2", "5", "9"), {"no name", "object 1"}).size() == 1);
}

TEST_CASE("voc: an image whose XML is truncated, empty or something else is skipped") {
  const std::string whole = annotation_xml(kGoodObject);
  for (const std::string& xml :
       {whole.substr(0, whole.size() / 2), whole.substr(0, whole.size() - 5), std::string()})
    CHECK(read_with_fault(OneBad(xml), {"not readable XML", "skipped"}).samples.size() == 1);
  CHECK(read_with_fault(OneBad("<html></html>"), {"no <annotation>"}).samples.size() == 1);
}

TEST_CASE("voc: the image's size is used if the XML lacks it or disagrees") {
  const Dataset lacking =
      read_with_fault(OneBad(annotation_xml(kGoodObject, "")), {"lacks a <size>", "40 x 30"});
  REQUIRE(lacking.samples.size() == 2);
  CHECK(lacking.samples[1].width == 40);
  CHECK(lacking.samples[1].height == 30);
  CHECK(lacking.samples[1].objects.size() == 1);
  const std::string other = "<size><width>400</width><height>30</height></size>";
  const Dataset wrong = read_with_fault(OneBad(annotation_xml(kGoodObject, other)), {"400 x 30", "40 x 30"});
  CHECK(wrong.samples[1].width == 40);
}

TEST_CASE("voc: a sample without its image is skipped") {
  const OneBad voc(annotation_xml(kGoodObject));
  std::filesystem::remove(voc.folder / "JPEGImages/bad.jpg");
  CHECK(read_with_fault(voc, {"does not exist", "skipped"}, {}, "bad.jpg").samples.size() == 1);
}

TEST_CASE("voc: a sample without its annotation is skipped") {
  const OneBad voc(annotation_xml(kGoodObject));
  std::filesystem::remove(voc.folder / "Annotations/bad.xml");
  CHECK(read_with_fault(voc, {"does not exist"}).samples.size() == 1);
}

TEST_CASE("voc: an image whose header cannot be read is skipped") {
  const OneBad voc(annotation_xml(kGoodObject));
  write_text(voc.folder / "JPEGImages/bad.jpg", "");
  CHECK(read_with_fault(voc, {"is empty"}, {}, "bad.jpg").samples.size() == 1);
}

TEST_CASE("voc: an id listed twice counts once") {
  const OneBad voc(annotation_xml(kGoodObject));
  voc.list("train", "good\nbad\ngood\n");
  CHECK(read_with_fault(voc, {"good", "more than once"}, {}, "train.txt").samples.size() == 2);
}

TEST_CASE("voc: faults that reading cannot continue from are InputErrors") {
  const OneBad voc(annotation_xml(kGoodObject));
  CHECK(contains(input_error([&] { read_voc(voc.folder / "nowhere", "train"); }), "nowhere is not a folder"));
  CHECK(contains(input_error([&] { voc.read("test"); }), "test.txt does not exist"));
  voc.list("void", "\n \n");
  CHECK(contains(input_error([&] { voc.read("void"); }), "void.txt lists no image"));
  voc.list("gone", "x\ny\n");
  const std::string none = input_error([&] { voc.read("gone"); });
  CHECK(contains(none, "'gone'"));
  CHECK(contains(none, "x.jpg"));
  std::filesystem::remove_all(voc.folder / "Annotations");
  CHECK(contains(input_error([&] { voc.read(); }), "lacks the folder Annotations"));
}

TEST_CASE("voc: images without objects are kept, but classes must come from somewhere") {
  VocFolder voc;
  voc.image("a.jpg");
  voc.annotation("a", annotation_xml(""));
  voc.list("train", "a");
  CHECK(contains(input_error([&] { voc.read(); }), "no object"));
  const Dataset data = voc.read("train", {"cat"});
  REQUIRE(data.samples.size() == 1);
  CHECK(data.samples[0].objects.empty());
}

TEST_CASE("voc: an annotation is read back as it was written") {
  VocFolder voc;
  voc.image("a.jpg");
  Sample sample{
      "a", {}, 40, 30, {{{0, 0, 40, 30}, 1, false}, {{3, 4, 5, 6}, 2, true}, {{12, 28, 40, 30}, 2, false}}};
  write_voc_annotation(voc.folder / "Annotations/a.xml", sample, {"größe <&>", "b"}, "a.jpg");
  voc.list("train", "a");
  const Dataset data = voc.read("train", {"größe <&>", "b"});
  CHECK(data.faults.empty());
  CHECK(data.samples[0].objects == sample.objects);
  CHECK_THROWS_AS(write_voc_annotation(voc.folder / "Annotations/a.xml", sample, {"one"}, "a.jpg"), Error);
}

TEST_CASE("voc: BCCD, with its two boxes of zero area") {
  const std::filesystem::path root = real_data("bccd");
  if (root.empty()) return;
  const Dataset train = read_voc(root, "train");
  CHECK(train.samples.size() == 205);
  CHECK(train.classes == std::vector<std::string>{"Platelets", "RBC", "WBC"});
  REQUIRE(train.faults.size() == 1);
  CHECK(contains(train.faults[0].what, "BloodImage_00343"));
  const Dataset val = read_voc(root, "val", train.classes), test = read_voc(root, "test", train.classes);
  CHECK(val.samples.size() == 87);
  REQUIRE(val.faults.size() == 1);
  CHECK(contains(val.faults[0].what, "BloodImage_00338"));
  CHECK(test.samples.size() == 72);
  CHECK(count_boxes(train) + count_boxes(val) + count_boxes(test) + 2 == 4888);
}

TEST_CASE("voc: raccoon, with its greyscale photographs") {
  const std::filesystem::path root = real_data("raccoon");
  if (root.empty()) return;
  const Dataset train = read_voc(root, "train"), test = read_voc(root, "test");
  CHECK(train.samples.size() + test.samples.size() == 200);
  CHECK(count_boxes(train) + count_boxes(test) == 217);
  int grey = 0;
  for (const char* id : {"raccoon-150", "raccoon-152", "raccoon-161"}) {
    const Image image = read_image(root / "JPEGImages" / (std::string(id) + ".jpg"));
    bool all_equal = true;
    for (size_t i = 0; i < image.rgb.size(); i += 3)
      all_equal = all_equal && image.rgb[i] == image.rgb[i + 1] && image.rgb[i] == image.rgb[i + 2];
    grey += all_equal ? 1 : 0;
  }
  CHECK(grey == 3);
}
