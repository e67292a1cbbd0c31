// Images that are not in the usual places of their annotations.
#include "data/image_index.h"

#include <map>

#include "data/coco.h"
#include "data/folder.h"
#include "data/name_key.h"
#include "tests/data/label_folder.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

namespace fs = std::filesystem;
using Pairs = std::map<std::string, float>;  // the path of an image, and the left side of its box

/// Fills a folder. Images are 40 x 30. Each annotation has one box, from `left` to 20.
struct Maker : LabelFolder {
  void xml(const std::string& path, int left, const std::string& filename = "") const {
    write_text(
        folder / path,
        fmt::format("<annotation><filename>{}</filename><object><name>cat</name><bndbox><xmin>{}</xmin>"
                    "<ymin>4</ymin><xmax>20</xmax><ymax>12</ymax></bndbox></object>"
                    "<size><width>40</width><height>30</height></size></annotation>",
                    filename, left + 1));
  }
  /// The box of the i-th image begins at i + 1.
  void coco(const std::string& path, const std::vector<std::string>& file_names) const {
    std::string images, annotations;
    for (size_t i = 0; i < file_names.size(); ++i) {
      const char* comma = i == 0 ? "" : ", ";
      images += fmt::format(R"({}{{"id": {}, "file_name": "{}", "width": 40, "height": 30}})", comma, i,
                            file_names[i]);
      annotations +=
          fmt::format(R"({}{{"image_id": {}, "category_id": 3, "bbox": [{}, 3, 8, 9]}})", comma, i, i + 1);
    }
    write_text(folder / path, R"({"categories": [{"id": 3, "name": "cat"}], "images": [)" + images +
                                  R"(], "annotations": [)" + annotations + "]}");
  }
  Dataset read(const std::string& split = "") const { return read_split(find_data(folder.path()), split); }

  Pairs pairs(const Dataset& data) const {
    Pairs found;
    for (const Sample& sample : data.samples)
      found[sample.image.lexically_relative(folder.path()).string()] = sample.objects.at(0).box.x1;
    return found;
  }
};

/// The only fault with these words.
std::string fault_with(const Dataset& data, const std::string& words) {
  std::string found;
  for (const Fault& fault : data.faults)
    if (contains(fault.what, words)) {
      CHECK(found.empty());
      CHECK(fault.what.ends_with('.'));
      found = fault.what;
    }
  CHECK_MESSAGE(!found.empty(), words);
  return found;
}

}  // namespace

TEST_CASE("image index: names that are the same for a person have one key") {
  CHECK(name_key("IMG_0.JPG") == "img_0.jpg");
  CHECK(name_key("cafe\xCC\x81") == "caf\xC3\xA9");                           // e and an acute accent
  CHECK(name_key("CAF\xC3\x89") == "caf\xC3\xA9");                            // E with one
  CHECK(name_key("Vie\xCC\xA3\xCC\x82t") == "vi\xE1\xBB\x87t");               // two marks
  CHECK(name_key("\xD0\xB8\xCC\x86") == "\xD0\xB9");                          // Cyrillic short i
  CHECK(name_key("\xE3\x81\x8B\xE3\x82\x99") == "\xE3\x81\x8C");              // ga of ka
  CHECK(name_key("\xE3\x83\x8F\xE3\x82\x9A") == "\xE3\x83\x91");              // pa of ha
  CHECK(name_key("\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8") == "\xEA\xB0\x81");  // a Korean syllable
  CHECK(name_key("q\xCC\x81") == "q\xCC\x81");                                // no such letter
  CHECK(name_key("\xE9\xCC\x81"
                 "A") ==
        "\xE9\xCC\x81"
        "a");  // not UTF-8
  CHECK(name_key("e") != name_key("\xC3\xA9"));
}

TEST_CASE("image index: folders of any name for images and for XML") {
  const std::vector<std::pair<std::string, std::string>> layouts = {{"Images", "Annotation"},
                                                                    {"Images", "Annotations"},
                                                                    {"img", "xml"},
                                                                    {"imgs", "annots"},
                                                                    {"images", "labels"},
                                                                    {"train_images", "train_annotations"},
                                                                    {"images", "annotations/xmls"},
                                                                    {"data", "labels"},
                                                                    {"jpegimages", "annotations"},
                                                                    {"images/train", "annotations/train"}};
  for (const auto& [images, annotations] : layouts) {
    CAPTURE(images);
    const Maker maker;
    for (int i = 0; i < 3; ++i) {
      maker.image(fmt::format("{}/{}.jpg", images, i));
      maker.xml(fmt::format("{}/{}.xml", annotations, i), i + 1);
    }
    const Dataset data = maker.read();
    CHECK(maker.pairs(data) == Pairs{{images + "/0.jpg", 1}, {images + "/1.jpg", 2}, {images + "/2.jpg", 3}});
    if (images == "images" && annotations == "labels") {
      CHECK(data.faults.empty());  // a usual place
    } else {
      CHECK(contains(fault_with(data, "by their names alone"), "3 images"));
      CHECK(data.faults.size() == 1);
    }
  }
}

TEST_CASE("image index: a mask is not the photograph that it was made of") {
  for (const std::string masks : {"SegmentationClass", "masks", "annotations/trimaps"}) {
    CAPTURE(masks);
    const Maker maker;
    for (const char* image : {"photos/0.jpg", "photos/1.jpg"}) maker.image(image);
    maker.image(masks + "/2.png");
    for (int i = 0; i < 3; ++i) maker.xml(fmt::format("labels/{}.xml", i), i + 1);
    CHECK(maker.pairs(maker.read()) == Pairs{{"photos/0.jpg", 1}, {"photos/1.jpg", 2}});
  }
}

TEST_CASE("image index: numbers that start again in every folder") {
  const Maker maker;
  for (const std::string part : {"train", "test"}) {
    const int left = part == "train" ? 1 : 5;
    maker.image(part + "_images/1.jpg");
    maker.xml(part + "_annotations/1.xml", left);
  }
  maker.xml("train_annotations/2.xml", 7);
  maker.image("test_images/2.jpg");  // not the second image of train
  CHECK(find_data(maker.folder.path()).splits == std::vector<std::string>{"train", "test"});
  CHECK(maker.pairs(maker.read("train")) == Pairs{{"train_images/1.jpg", 1}});
  CHECK(maker.pairs(maker.read("test")) == Pairs{{"test_images/1.jpg", 5}});
  CHECK(contains(fault_with(maker.read("train"), "2.xml has no image"), "lies in another folder"));
}

TEST_CASE("image index: VOC in lower case, with its lists") {
  const Maker maker;
  for (int i = 1; i < 4; ++i) {
    maker.image(fmt::format("jpegimages/{}.jpg", i));
    maker.xml(fmt::format("annotations/{}.xml", i), i);
  }
  write_text(maker.folder / "imagesets/main/train.txt", "1\n3\n");
  write_text(maker.folder / "imagesets/main/val.txt", "2\n");
  CHECK(maker.pairs(maker.read("train")) == Pairs{{"jpegimages/1.jpg", 1}, {"jpegimages/3.jpg", 3}});
  CHECK(maker.pairs(maker.read("val")) == Pairs{{"jpegimages/2.jpg", 2}});
}

TEST_CASE("image index: VOC with folders inside JPEGImages") {
  const Maker maker;
  maker.image("JPEGImages/1.jpg");
  maker.image("JPEGImages/night/1.jpg");
  maker.xml("Annotations/1.xml", 1);
  maker.xml("Annotations/night/1.xml", 2);
  maker.xml("Annotations/day/1.xml", 3);  // its image is missing
  const Pairs both = {{"JPEGImages/1.jpg", 1}, {"JPEGImages/night/1.jpg", 2}};
  CHECK(maker.pairs(maker.read()) == both);
  fault_with(maker.read(), "day/1.jpg does not exist, and 2 images have that name");
  write_text(maker.folder / "ImageSets/Main/default.txt", "night/1\nday/1\n1\n");
  CHECK(maker.pairs(maker.read()) == both);
}

TEST_CASE("image index: VOC takes no image of another split") {
  const Maker maker;
  maker.image("JPEGImages/A.jpg");
  maker.xml("Annotations/A.xml", 1);
  maker.xml("Annotations/a.xml", 2);
  maker.image("JPEGImages/b.jpg");
  maker.xml("Annotations/b.xml", 3);
  maker.image("pictures/C.JPEG");
  maker.xml("Annotations/c.xml", 4);
  write_text(maker.folder / "ImageSets/Main/train.txt", "a\nb\nc\n");
  write_text(maker.folder / "ImageSets/Main/val.txt", "A\n");
  const Dataset train = maker.read("train");
  CHECK(maker.pairs(train) == Pairs{{"JPEGImages/b.jpg", 3}, {"pictures/C.JPEG", 4}});
  fault_with(train, "belongs to another entry");
  fault_with(train, "1 image was found by its name alone");
  CHECK(maker.pairs(maker.read("val")) == Pairs{{"JPEGImages/A.jpg", 1}});
}

TEST_CASE("image index: what several annotations would get, none gets") {
  const Maker maker;
  maker.image("good.jpg");
  maker.xml("good.xml", 1);
  maker.image("pictures/a.jpg");
  maker.xml("one/a.xml", 2);
  maker.xml("two/A.xml", 3);
  const Dataset data = maker.read();
  CHECK(maker.pairs(data) == Pairs{{"good.jpg", 1}});
  fault_with(data, "one/a.xml has no image: pictures/a.jpg has that name but fits 2 entries; it is skipped");
  fault_with(data, "two/A.xml has no image: pictures/a.jpg has that name but fits 2 entries; it is skipped");
}

TEST_CASE("image index: the <filename> chooses among images that differ in their extension") {
  const Maker maker;
  maker.image("img/a.jpg");
  maker.image("img/a.jpeg");
  maker.xml("xml/a.xml", 1, "a.jpeg");
  maker.image("img/b.jpg");
  maker.image("img/B.jpg");
  maker.xml("xml/b.xml", 2, "c.jpg");
  const Dataset data = maker.read();
  CHECK(maker.pairs(data) == Pairs{{"img/a.jpeg", 1}});
  fault_with(data, "b.xml has no image: 2 images have that name (img/B.jpg and img/b.jpg are the first)");
}

TEST_CASE("image index: COCO's names in another case, extension, form or system") {
  const std::vector<std::pair<std::string, std::string>> names = {
      {"IMG_1.JPG", "img_1.jpg"},
      {"img_1", "img_1.jpg"},
      {"img_1.png", "img_1.jpg"},
      {"img_1.tif", "img_1.jpg"},
      {"caf\\u00e9.jpg", "cafe\xCC\x81.jpg"},
      {R"(C:\\Users\\x\\imgs\\img_1.jpg)", "img_1.jpg"},
      {R"(images\\img_1.jpg)", "img_1.jpg"},
      {"/data/local-files/?d=set/img_1.jpg", "img_1.jpg"},
      {"/data/local-files/?d=img_1.jpg", "img_1.jpg"},
      {"/storage/set/img_1.jpg", "img_1.jpg"}};
  for (const std::string folder : {"images", "pictures", "frames/2021"})
    for (const auto& [name, file] : names) {
      CAPTURE(name);
      const Maker maker;
      maker.image(folder + "/" + file);
      maker.image(folder + "/other.jpg");
      maker.coco("annotations/instances.json", {name});
      const Dataset data = maker.read();
      CHECK(maker.pairs(data) == Pairs{{folder + "/" + file, 1}});
      CHECK(data.faults.size() <= 1);  // at most the one that says that it was found by its name
    }
}

TEST_CASE("image index: COCO never pairs the image of another folder") {
  const Maker maker;
  maker.image("images/cam1/0001.jpg");
  maker.coco("instances.json", {"cam1/0001.jpg", "cam2/0001.jpg"});
  CHECK(maker.pairs(maker.read()) == Pairs{{"images/cam1/0001.jpg", 1}});
  fault_with(maker.read(), "cam2/0001.jpg does not exist");
  maker.image("images/0001.jpg");
  CHECK(maker.pairs(maker.read()) == Pairs{{"images/cam1/0001.jpg", 1}});
  fault_with(maker.read(), "cam2/0001.jpg does not exist");
  maker.image("images/cam2/0001.jpg");
  CHECK(maker.pairs(maker.read()) == Pairs{{"images/cam1/0001.jpg", 1}, {"images/cam2/0001.jpg", 2}});
  CHECK(maker.read().faults.empty());

  const Maker one;  // one image for two entries
  one.image("images/0001.jpg");
  one.image("images/b.jpg");
  one.coco("instances.json", {"cam1/0001.jpg", "cam2/0001.jpg", "b.jpg"});
  CHECK(one.pairs(one.read()) == Pairs{{"images/b.jpg", 3}});
}

TEST_CASE("image index: COCO takes no image of another file") {
  const Maker maker;
  maker.image("images/0001.jpg");
  maker.image("images/a.jpg");
  maker.coco("train.json", {"a.jpg", "cam1/0001.jpg"});
  maker.coco("val.json", {"0001.jpg"});
  CHECK(maker.pairs(maker.read("train")) == Pairs{{"images/a.jpg", 1}});
  fault_with(maker.read("train"), "belongs to another entry");
  CHECK(maker.pairs(maker.read("val")) == Pairs{{"images/0001.jpg", 1}});

  const Maker numbered;  // 2.jpg of train is missing
  numbered.image("train/1.jpg");
  numbered.image("val/1.jpg");
  numbered.image("val/2.jpg");
  numbered.coco("train.json", {"1.jpg", "2.jpg"});
  CHECK(numbered.pairs(numbered.read("train")) == Pairs{{"train/1.jpg", 1}});
  fault_with(numbered.read("train"), "2.jpg does not exist");
}
