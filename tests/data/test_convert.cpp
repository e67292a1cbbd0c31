// Conversion between Pascal VOC, COCO and YOLO.
#include "data/convert.h"

#include <cmath>

#include "core/text.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

/// Every object of a folder as "train photo dog 1.5 2 3 4 difficult", sorted.
Names objects_of(const fs::path& path) {
  Names found;
  const DataFolder folder = find_data(path);
  Names splits = folder.splits;
  if (splits.empty()) splits.emplace_back();
  for (const std::string& split : splits) {
    const Dataset data = read_split(folder, split);
    for (const Sample& sample : data.samples) {
      const std::string image = split + " " + sample.image.stem().string();
      found.push_back(image);
      for (const Object& object : sample.objects) {
        const auto& [x1, y1, x2, y2] = object.box;
        const auto rounded = [](float value) { return std::round(double{value} * 1e3) / 1e3; };
        found.push_back(fmt::format("{} {} {} {} {} {}{}{}", image,
                                    data.classes.at(static_cast<size_t>(object.label - 1)), rounded(x1),
                                    rounded(y1), rounded(x2), rounded(y2),
                                    object.difficult ? " difficult" : "", object.crowd ? " crowd" : ""));
      }
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// COCO files of two splits: 40 x 30 images, and the classes dog and cat, of which val adds a third.
struct Source {
  TemporaryFolder folder;

  Source() {
    image("train/a.jpg");
    image("train/b c.png");
    image("val/a.jpg");
    coco("train", R"({"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "b c.png"})",
         R"({"id": 5, "name": "dog"}, {"id": 6, "name": "cat"})",
         R"({"image_id": 7, "category_id": 6, "bbox": [0.1, 0.25, 12.3456, 20]},
            {"image_id": 7, "category_id": 5, "bbox": [33.3333, 11.1111, 6.6667, 18.8889]},
            {"image_id": 7, "category_id": 5, "bbox": [3, 4, 10, 11], "iscrowd": 1},
            {"image_id": 7, "category_id": 5, "bbox": [3, 4, 0.9, 11]},
            {"image_id": 7, "category_id": 5, "bbox": [5, 6, 7, 8], "difficult": 1})");
    coco("val", R"({"id": 1, "file_name": "a.jpg"})", R"({"id": 5, "name": "dog"}, {"id": 8, "name": "owl"})",
         R"({"image_id": 1, "category_id": 8, "bbox": [0, 0, 40, 30]})");
  }
  void image(const std::string& path) const { write_bytes(data() / path, stb_jpeg(smooth_image(40, 30))); }
  void coco(const std::string& split, const std::string& images, const std::string& categories,
            const std::string& annotations) const {
    write_text(data() / split / "_annotations.coco.json", R"({"images": [)" + images +
                                                              R"(], "categories": [)" + categories +
                                                              R"(], "annotations": [)" + annotations + "]}");
  }
  fs::path data() const { return folder / "data"; }
  Converted convert(const fs::path& from, DataForm form, const std::string& to, bool link = false) const {
    return convert_data(find_data(from), folder / to, {form, link});
  }
};

}  // namespace

TEST_CASE("convert: COCO keeps every object, its kind, its split and the numbers of images") {
  const Source source;
  const Converted converted = source.convert(source.data(), DataForm::coco, "coco");
  Names expected = objects_of(source.data());
  // Both splits have an image a, so the second one is called a_2.
  CHECK(converted.renamed == 1);
  for (std::string& line : expected)
    if (line.starts_with("val a")) line.insert(5, "_2");
  CHECK(objects_of(source.folder / "coco") == expected);
  REQUIRE(expected.size() == 9);
  const DataFolder folder = find_data(source.folder / "coco");
  const Dataset train = read_split(folder, "train");
  CHECK(train.classes == Names{"dog", "cat", "owl"});
  CHECK(train.samples[1].coco_id == 9);
}

TEST_CASE("convert: the boxes are the same to a thousandth of a pixel through VOC, COCO, YOLO and VOC") {
  const Source source;
  const Converted voc = source.convert(source.data(), DataForm::voc, "voc");
  CHECK(voc.crowds == 1);
  CHECK(voc.small_left_out == 1);
  source.convert(source.folder / "voc", DataForm::coco, "coco");
  const Names expected = objects_of(source.folder / "voc");
  CHECK(expected == Names{"train a", "train a cat 0.1 0.25 12.446 20.25", "train a dog 3 4 13 15 difficult",
                          "train a dog 33.333 11.111 40 30", "train a dog 5 6 12 14 difficult", "train b c",
                          "val a_2", "val a_2 owl 0 0 40 30"});
  CHECK(objects_of(source.folder / "coco") == expected);

  const Converted yolo = source.convert(source.folder / "coco", DataForm::yolo, "yolo");
  CHECK(yolo.ignored_left_out == 2);
  Names plain;  // without the objects for which YOLO has no place
  for (const std::string& line : expected)
    if (!line.ends_with("difficult")) plain.push_back(line);
  CHECK(objects_of(source.folder / "yolo") == plain);
  source.convert(source.folder / "yolo", DataForm::voc, "voc2");
  CHECK(objects_of(source.folder / "voc2") == plain);
  CHECK(find_data(source.folder / "voc2").splits == Names{"train", "val"});
}

TEST_CASE("convert: a box keeps every bit, so that the same seed trains the same model") {
  const Source source;
  source.convert(source.data(), DataForm::voc, "voc");
  source.convert(source.folder / "voc", DataForm::yolo, "yolo");
  const auto boxes = [&](const std::string& name) {
    std::vector<Box> found;
    for (const Sample& sample : read_split(find_data(source.folder / name), "train").samples)
      for (const Object& object : sample.objects)
        if (!is_ignored(object)) found.push_back(object.box);
    return found;
  };
  CHECK(boxes("voc").size() == 2);
  CHECK(boxes("voc") == boxes("yolo"));
}

TEST_CASE("convert: images are copies, or hard links, and data without splits stays so") {
  const TemporaryFolder folder;
  write_bytes(folder / "in/x/a.jpg", stb_jpeg(smooth_image(40, 30)));
  write_bytes(folder / "in/y/a.jpg", stb_jpeg(smooth_image(40, 30)));
  for (const char* part : {"x", "y"})
    write_text(folder / "in" / part / "a.xml",
               "<annotation><size><width>40</width><height>30</height></size><object><name>cat</name><bndbox>"
               "<xmin>3</xmin><ymin>4</ymin><xmax>10</xmax><ymax>12</ymax></bndbox></object></annotation>");
  for (const bool link : {false, true}) {
    const fs::path out = folder / (link ? "linked" : "copied");
    const Converted converted = convert_data(find_data(folder / "in"), out, {DataForm::voc, link});
    CHECK(converted.renamed == 1);
    CHECK(fs::exists(out / "JPEGImages/a.jpg"));
    CHECK(fs::exists(out / "JPEGImages/a_2.jpg"));
    CHECK(fs::hard_link_count(out / "JPEGImages/a.jpg") == (link ? 2u : 1u));
    CHECK(find_data(out).splits.empty());
    CHECK(read_split(find_data(out), "").samples.size() == 2);
  }
  convert_data(find_data(folder / "in"), folder / "yolo", {DataForm::yolo, false});
  CHECK(find_data(folder / "yolo").splits == Names{"train"});
}

TEST_CASE("convert: names that lists cannot hold become plain ones") {
  const Source source;
  for (const std::string name : {"line\nend", "latin\xE9", " space", "column 1", "back\\slash", "B C"}) {
    write_bytes(source.folder / ("in/" + name + ".jpg"), stb_jpeg(smooth_image(40, 30)));
    write_text(source.folder / ("in/" + name + ".txt"), "0 0.5 0.5 0.5 0.6\n");
  }
  write_bytes(source.folder / "in/b c.png", stb_jpeg(smooth_image(40, 30)));
  write_text(source.folder / "in/b c.txt", "0 0.5 0.5 0.5 0.6\n");
  write_text(source.folder / "in/classes.txt", "\"x\": #1\n");
  for (const DataForm form : {DataForm::voc, DataForm::coco, DataForm::yolo}) {
    const std::string out = fmt::format("out{}", static_cast<int>(form));
    const Converted converted = source.convert(source.folder / "in", form, out);
    CHECK(converted.renamed == 6);
    const DataFolder found = find_data(source.folder / out);
    const Dataset data = read_split(found, "");
    CHECK(data.samples.size() == 7);
    CHECK(data.classes == Names{"\"x\": #1"});
    for (const Sample& sample : data.samples) CHECK(sample.objects.size() == 1);
  }
}

TEST_CASE("convert: nothing is written over other files, nor into the data") {
  const Source source;
  write_text(source.folder / "full/notes.txt", "mine");
  CHECK(contains(input_error([&] { source.convert(source.data(), DataForm::voc, "full"); }),
                 "exists and is not an empty folder"));
  CHECK(contains(input_error([&] { source.convert(source.data(), DataForm::voc, "full/notes.txt"); }),
                 "exists and is not an empty folder"));
  CHECK(contains(input_error([&] { source.convert(source.data(), DataForm::voc, "data/voc"); }),
                 "lies in the folder of the data"));
  fs::create_directory(source.folder / "empty");
  source.convert(source.data(), DataForm::voc, "empty/");
  CHECK(fs::exists(source.folder / "empty/ImageSets/Main/val.txt"));
  CHECK(!fs::exists(source.folder / "empty.part"));

  fs::create_directory(source.folder / "left.part");
  CHECK(contains(input_error([&] { source.convert(source.data(), DataForm::voc, "left"); }),
                 "left by a run that was ended"));
}
