// Annotations that name another image than their own, and images or labels that two entries name.
#include <filesystem>

#include "data/equal_files.h"
#include "tests/data/label_folder.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Names = std::vector<std::string>;

/// "a 2, b 7": each image with the left edges of its boxes.
std::string lefts(const Dataset& data) {
  std::string text;
  for (const Sample& sample : data.samples) {
    text += (text.empty() ? "" : ", ") + sample.image.filename().string();
    for (const Object& object : sample.objects) text += fmt::format(" {}", object.box.x1);
  }
  return text;
}

size_t count(const Dataset& data, FaultKind kind, const std::string& words) {
  size_t found = 0;
  for (const Fault& fault : data.faults) found += fault.kind == kind && contains(fault.what, words) ? 1 : 0;
  return found;
}

std::string labelme(const std::string& image_path, int left) {
  return fmt::format(R"({{"shapes": [{{"label": "cat", "points": [[{}, 2], [20, 12]], "shape_type":)"
                     R"( "rectangle"}}], "imagePath": "{}", "imageHeight": 30, "imageWidth": 40}})",
                     left, image_path);
}

std::string voc(const std::string& filename, int xmin) {
  return fmt::format(
      "<annotation><filename>{}</filename><size><width>40</width><height>30</height></size><object><name>cat"
      "</name><bndbox><xmin>{}</xmin><ymin>2</ymin><xmax>20</xmax><ymax>12</ymax></bndbox></object>"
      "</annotation>",
      filename, xmin + 1);
}

}  // namespace

TEST_CASE("stale names: labelme's file has the image of its own name, and says so if it names another") {
  const LabelFolder maker;
  for (const char* name : {"a.jpg", "b.jpg", "c.jpg", "e.jpg", "e.png"}) maker.image(name);
  maker.text("a.json", labelme("b.jpg", 1));               // a copy of b.json
  maker.text("b.json", labelme("D:\\\\old\\\\b.jpg", 2));  // another machine's path: nothing to say
  maker.text("c.json", labelme("gone.jpg", 3));
  maker.text("d.json", labelme("b.jpg", 4));  // b.jpg is b.json's
  maker.text("e.json", labelme("gone.jpg", 5));
  const Dataset data = maker.read();
  CHECK(lefts(data) == "a.jpg 1, b.jpg 2, c.jpg 3");
  CHECK(count(data, FaultKind::found_by_name, "a.json names the image 'b.jpg', but has the name of a.jpg") ==
        1);
  CHECK(count(data, FaultKind::found_by_name, "c.json names the image 'gone.jpg'") == 1);
  CHECK(count(data, FaultKind::found_by_name, "") == 2);
  CHECK(count(data, FaultKind::missing_image, "e.json fits 2 images") == 1);
  CHECK(count(data, FaultKind::missing_image, "1 of 5 annotated images is missing (b.jpg)") == 1);
}

TEST_CASE("stale names: labelme's files in a folder of their own") {
  const LabelFolder maker;
  for (const char* name : {"a", "b"}) maker.image(std::string("photos/") + name + ".jpg");
  maker.text("json/a.json", labelme("b.jpg", 1));
  maker.text("json/b.json", labelme("b.jpg", 2));
  const Dataset data = maker.read();
  CHECK(lefts(data) == "a.jpg 1, b.jpg 2");
  CHECK(count(data, FaultKind::found_by_name, "1 image was found by its name alone") == 1);
}

TEST_CASE("stale names: CVAT's images with one name are read as one, with a fault") {
  const LabelFolder maker;
  maker.image("a.jpg");
  const auto image = [](int id, int left) {
    return fmt::format(
        "<image id='{}' name='a.jpg' width='40' height='30'><box label='cat' xtl='{}' ytl='2' "
        "xbr='20' ybr='9'/></image>",
        id, left);
  };
  maker.text("annotations.xml",
             "<annotations><version>1.1</version><meta/>" + image(0, 1) + image(1, 5) + "</annotations>");
  const Dataset data = maker.read();
  CHECK(lefts(data) == "a.jpg 1 5");
  CHECK(count(data, FaultKind::repeated, "image 2 (a.jpg) has the name of an earlier one") == 1);
}

TEST_CASE("stale names: XML copies with one <filename> have the images of their own names") {
  for (const std::string place : {"", "images/", "more/deep/"}) {
    CAPTURE(place);
    const LabelFolder maker;
    for (const char* name : {"a", "b", "c"}) {
      maker.image(place + name + ".jpg");
      maker.text(std::string(name) + ".xml", voc("template.jpg", name[0] - 'a'));
    }
    maker.image("template.jpg");  // right beside the XML files
    CHECK(lefts(maker.read()) == "a.jpg 0, b.jpg 1, c.jpg 2");
  }
}

TEST_CASE("stale names: an image that only several annotations name belongs to none of them") {
  for (const bool is_voc : {false, true}) {
    CAPTURE(is_voc);
    const LabelFolder maker;
    const std::string images = is_voc ? "JPEGImages/" : "", xml = is_voc ? "Annotations/" : "";
    maker.image(images + "x.jpg");
    maker.image(images + "c.jpg");
    maker.text(xml + "a.xml", voc("x.jpg", 1));
    maker.text(xml + "b.xml", voc("x.jpg", 2));
    maker.text(xml + "c.xml", voc("c.jpg", 3));
    const Dataset data = maker.read();
    CHECK(lefts(data) == "c.jpg 3");
    CHECK(count(data, FaultKind::missing_image, "x.jpg has that name but fits 2 entries") == 2);
    // One alone may name it.
    std::filesystem::remove(maker.folder / (xml + "b.xml"));
    CHECK(contains(lefts(maker.read()), "x.jpg 1"));
  }
}

TEST_CASE("stale names: of VIA's entries with one name, the one with the size of the file is read") {
  const auto entry = [](const std::string& size, int x) {
    return fmt::format(
        R"("a.jpg{0}": {{"filename": "a.jpg", "size": {0}, "regions": [{{"shape_attributes": )"
        R"({{"name": "rect", "x": {1}, "y": 2, "width": 9, "height": 9}}, "region_attributes": )"
        R"({{"class": "cat"}}}}]}})",
        size, x);
  };
  const LabelFolder maker;
  maker.image("a.jpg");
  maker.image("b.jpg");
  const std::string own = std::to_string(std::filesystem::file_size(maker.folder / "a.jpg"));
  const std::string b = R"(, "b.jpg1": {"filename": "b.jpg", "size": 1, "regions": []}})";
  for (const bool first : {true, false}) {
    maker.text("via.json",
               "{" + (first ? entry(own, 1) + "," + entry("7", 2) : entry("7", 2) + "," + entry(own, 1)) + b);
    const Dataset data = maker.read();
    CHECK(lefts(data) == (first ? "a.jpg 1, b.jpg" : "a.jpg 1, b.jpg"));
    CHECK(count(data, FaultKind::repeated, "a.jpg of 7 bytes is not the only entry with that name") == 1);
    CHECK(count_faults(data.faults) == 1);
  }
  maker.text("via.json", "{" + entry("7", 1) + "," + entry("8", 2) + b);   // neither
  CHECK(count_faults(read_split(maker.find(), "", {"cat"}).faults) == 3);  // and a.jpg has no annotation
  CHECK(lefts(read_split(maker.find(), "", {"cat"})) == "b.jpg");
}

TEST_CASE("stale names: VIA's regions without attributes have no class, which is said once") {
  const LabelFolder maker;
  maker.image("a.jpg");
  const std::string region =
      R"({"shape_attributes": {"name": "rect", "x": 1, "y": 2, "width": 9, "height": 9},)"
      R"( "region_attributes": {}})";
  maker.text("via.json",
             R"({"a.jpg1": {"filename": "a.jpg", "size": 1, "regions": [)" + region + "," + region + "]}}");
  const Dataset data = read_split(maker.find(), "", {"cat"});
  REQUIRE(data.faults.size() == 1);
  CHECK(data.faults[0].kind == FaultKind::no_class);
  CHECK(contains(data.faults[0].what, "its 2 regions have no attributes, so that no box has a class"));
  CHECK(contains(input_error([&] { maker.read(); }), "so that no box has a class"));
}

TEST_CASE("stale names: COCO entries of one image are read as one, with a fault") {
  const auto json = [](const std::string& second, const std::string& size) {
    return R"({"images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}, {"id": 2, "file_name": ")" +
           second + R"(", )" + size +
           R"(}], "categories": [{"id": 1, "name": " cat "}, {"id": 2, "name": "cat"}],)"
           R"( "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 9, 9]},)"
           R"( {"image_id": 2, "category_id": 1, "bbox": [1, 2, 9, 9]},)"
           R"( {"image_id": 2, "category_id": 2, "bbox": [5, 2, 9, 9]}]})";
  };
  for (const std::string name : {"a.jpg", "images/a.jpg"}) {
    CAPTURE(name);
    const LabelFolder maker;
    maker.image("images/a.jpg");
    maker.text("coco.json", json(name, R"("width": 40, "height": 30)"));
    const Dataset data = maker.read();
    CHECK(lefts(data) == "a.jpg 1 5");
    CHECK(data.samples[0].coco_id == 1);
    CHECK(data.classes == Names{"cat"});  // without the spaces around it
    CHECK(
        count(
            data, FaultKind::repeated,
            "is the image of two entries, with the ids 1 and 2; they are read as one, without 1 repeated") ==
        1);
  }
  const LabelFolder other;
  other.image("a.jpg");
  other.text("coco.json", json("a.jpg", R"("width": 80, "height": 60)"));
  CHECK(lefts(other.read()) == "a.jpg 1");
  CHECK(count(other.read(), FaultKind::repeated, "the second is skipped, with 2 objects") == 1);
}

TEST_CASE("stale names: a label of YOLO belongs to one image") {
  const LabelFolder maker;
  maker.image("images/a.jpeg");
  maker.image("images/a.jpg");
  maker.text("labels/a.txt", "0 0.5 0.5 0.5 0.5\n");
  maker.text("classes.txt", "cat\n");
  const Dataset data = maker.read();
  CHECK(lefts(data) == "a.jpeg 10");
  REQUIRE(data.faults.size() == 1);
  CHECK(data.faults[0].kind == FaultKind::repeated);
  CHECK(contains(data.faults[0].what, "a.txt is the label of"));
}

TEST_CASE("stale names: a data.yaml that leads out of its folder says so, and not into another data set") {
  const LabelFolder maker;
  for (const char* part : {"one/", "two/"}) {
    maker.image(std::string(part) + "train/images/a.jpg");
    maker.text(std::string(part) + "train/labels/a.txt", "0 0.5 0.5 0.5 0.5\n");
  }
  maker.text("one/data.yaml", "train: ../train/images\nnames: [cat]\n");
  maker.image("train/images/b.jpg");  // another data set's
  maker.text("train/labels/b.txt", "0 0.5 0.5 0.5 0.5\n");
  const DataFolder inner = find_data(maker.folder / "one");
  CHECK(inner.notes.empty());
  CHECK(lefts(read_split(inner, "train")) == "a.jpg 10");
  maker.text("two/data.yaml", "train: ../one/train/images\nnames: [cat]\n");
  const DataFolder outer = find_data(maker.folder / "two");
  REQUIRE(outer.notes.size() == 1);
  CHECK(contains(outer.notes[0], "gives train as ../one/train/images, which lies outside of its folder: "));
  CHECK(read_split(outer, "train").samples.at(0).image == maker.folder / "one/train/images/a.jpg");
}

TEST_CASE("stale names: a table in data/ or labels/ describes the images beside that folder") {
  for (const std::string place : {"data/", "labels/"}) {
    const LabelFolder maker;
    maker.image("images/a.jpg");
    maker.text(place + "train_labels.csv",
               "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,40,30,cat,1,2,11,12\n");
    CHECK(maker.find().form == "csv");
    CHECK(lefts(maker.read("train")) == "a.jpg 1");
    CHECK(lefts(read_split(find_data(maker.folder / (place + "train_labels.csv")), "")) == "a.jpg 1");
    const LabelFolder coco;
    coco.image("images/a.jpg");
    coco.text(
        place + "train.json",
        R"({"images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}], "categories": [{"id": 1,)"
        R"( "name": "cat"}], "annotations": [{"image_id": 1, "category_id": 1, "bbox": [3, 2, 9, 9]}]})");
    CHECK(coco.find().form == "coco");
    CHECK(lefts(coco.read("train")) == "a.jpg 3");
    // With images in it, that folder is a data set of its own.
    maker.image(place + "b.jpg");
    CHECK(input_error([&] { maker.read("train"); }) != "");
  }
}

TEST_CASE("equal files: the same bytes, beyond their beginnings too") {
  const TemporaryFolder folder;
  std::vector<uint8_t> bytes(100'000, 7);
  std::vector<std::filesystem::path> files;
  for (const char* name : {"a", "b", "c", "d", "e", "gone"}) files.push_back(folder / name);
  for (const char* name : {"a", "d"}) write_bytes(folder / name, bytes);
  bytes.back() = 8;
  write_bytes(folder / "b", bytes);
  for (const char* name : {"c", "e"}) write_text(folder / name, "small");
  using Groups = std::vector<std::vector<size_t>>;
  CHECK(find_equal_files(files) == Groups{{2, 4}, {0, 3}});
}
