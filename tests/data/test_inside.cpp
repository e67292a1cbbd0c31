// Images that annotations name outside of the folder of the data.
#include <doctest/doctest.h>

#include "core/error.h"
#include "data/folder.h"
#include "data/inside.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

constexpr ReadOptions kInside{}, kAnywhere{.allow_outside = true};

/// Reads the unnamed split, without what it prints.
Dataset read(const fs::path& path, bool allow_outside) {
  DataFolder folder = find_data(path);
  folder.options.allow_outside = allow_outside;
  return read_split(folder, folder.splits.empty() ? "" : folder.splits.front());
}

bool has_fault(const Dataset& dataset, const std::string& words) {
  return std::any_of(dataset.faults.begin(), dataset.faults.end(),
                     [&](const Fault& fault) { return contains(fault.what, words); });
}

void write_jpeg(const fs::path& path) { write_bytes(path, stb_jpeg(smooth_image(40, 30))); }

/// data/inner.jpg, and outer.jpg beside the folder of the data.
void write_images(const TemporaryFolder& folder) {
  write_jpeg(folder / "data/inner.jpg");
  write_jpeg(folder / "outer.jpg");
}

std::string coco_of(const std::vector<std::string>& names) {
  std::string images, boxes;
  for (size_t i = 0; i < names.size(); ++i) {
    images +=
        fmt::format(R"({}{{"id":{},"file_name":"{}","width":40,"height":30}})", i ? "," : "", i, names[i]);
    boxes +=
        fmt::format(R"({}{{"id":{},"image_id":{},"category_id":1,"bbox":[2,3,10,12]}})", i ? "," : "", i, i);
  }
  return fmt::format(R"({{"images":[{}],"annotations":[{}],"categories":[{{"id":1,"name":"cat"}}]}})", images,
                     boxes);
}

}  // namespace

TEST_CASE("inside: a path is judged by where it leads") {
  CHECK(may_read("data", "data/a.jpg", kInside));
  CHECK(may_read("data", "data/x/../a.jpg", kInside));
  CHECK(may_read("data", fs::absolute("data/a.jpg"), kInside));
  CHECK(may_read("data/", "./data/a.jpg", kInside));
  CHECK(may_read("", "a.jpg", kInside));
  CHECK_FALSE(may_read("data", "data/../a.jpg", kInside));
  CHECK_FALSE(may_read("data", "data2/a.jpg", kInside));
  CHECK_FALSE(may_read("data", "/etc/passwd", kInside));
  CHECK(may_read("data", "data/..a.jpg", kInside));
  CHECK(may_read("data", "/etc/passwd", kAnywhere));
  const std::string nul("data/a.jpg\0b", 12);
  CHECK_FALSE(may_read("data", nul, kInside));
  CHECK_FALSE(may_read("data", nul, kAnywhere));
}

TEST_CASE("inside: coco's file_name leaves the folder of the data only if that is allowed") {
  const TemporaryFolder folder;
  write_images(folder);
  const fs::path file = folder / "data/set.json";
  for (const std::string& name : {std::string("../outer.jpg"), (folder / "outer.jpg").string(),
                                  std::string("x/../../outer.jpg"), std::string("..\\\\outer.jpg")}) {
    CAPTURE(name);
    write_text(file, coco_of({"inner.jpg", name}));
    const Dataset refused = read(folder / "data", false);
    REQUIRE(refused.samples.size() == 1);
    CHECK(refused.samples[0].image.filename() == "inner.jpg");
    CHECK(has_fault(refused, "lies outside of the folder of the data"));
    CHECK(has_fault(refused, "--allow-outside"));
    if (name.starts_with("x/")) continue;  // the folder x does not exist
    CHECK(read(folder / "data", true).samples.size() == 2);
  }
  // An absolute name of an image in the folder is none that leads outside.
  write_text(file, coco_of({(folder / "data/inner.jpg").string()}));
  CHECK(read(folder / "data", false).samples.size() == 1);
  // A NUL ends a name for the system, which would then read the image inner.jpg.
  write_text(file, coco_of({"inner.jpg", "inner.jpg\\u0000.txt"}));
  for (const bool allowed : {false, true}) {
    const Dataset dataset = read(folder / "data", allowed);
    CHECK(dataset.samples.size() == 1);
    CHECK(dataset.faults.size() == 1);
    CHECK(has_fault(dataset, "contains a NUL, which no path of a file does"));
  }
}

TEST_CASE("inside: the lines of yolo's lists") {
  const TemporaryFolder folder;
  write_images(folder);
  write_text(folder / "data/inner.txt", "0 .5 .5 .2 .2\n");
  write_text(folder / "outer.txt", "0 .5 .5 .2 .2\n");
  write_text(folder / "data/data.yaml", "names: [cat]\ntrain: list.txt\n");
  for (const std::string& name : {std::string("../outer.jpg"), (folder / "outer.jpg").string()}) {
    CAPTURE(name);
    write_text(folder / "data/list.txt", "inner.jpg\n" + name + "\n");
    const Dataset refused = read(folder / "data", false);
    CHECK(refused.samples.size() == 1);
    CHECK(has_fault(refused, "lies outside of the folder of the data"));
    CHECK(read(folder / "data", true).samples.size() == 2);
  }
}

TEST_CASE("inside: labelme's imagePath") {
  const TemporaryFolder folder;
  write_images(folder);
  const auto label = [&](const std::string& path) {
    return fmt::format(R"({{"version":"5.0","imagePath":"{}","imageHeight":30,"imageWidth":40,"shapes":[)"
                       R"({{"label":"cat","shape_type":"rectangle","points":[[2,3],[12,15]]}}]}})",
                       path);
  };
  write_text(folder / "data/inner.json", label("inner.jpg"));
  write_text(folder / "data/other.json", label("../outer.jpg"));
  const Dataset refused = read(folder / "data", false);
  CHECK(refused.samples.size() == 1);
  CHECK(has_fault(refused, "lies outside of the folder of the data"));
  CHECK(read(folder / "data", true).samples.size() == 2);
}

TEST_CASE("inside: the ids in voc's lists") {
  const TemporaryFolder folder;
  const std::string xml =
      "<annotation><size><width>40</width><height>30</height></size><object><name>cat</name><bndbox>"
      "<xmin>3</xmin><ymin>4</ymin><xmax>12</xmax><ymax>15</ymax></bndbox></object></annotation>";
  for (const char* name : {"voc/Annotations/a.xml", "voc/outer.xml", "outer.xml"})
    write_text(folder / name, xml);
  for (const char* name : {"voc/JPEGImages/a.jpg", "voc/outer.jpg", "outer.jpg"}) write_jpeg(folder / name);
  write_text(folder / "voc/ImageSets/Main/train.txt", "a\n../../outer\n");
  const Dataset refused = read(folder / "voc", false);
  CHECK(refused.samples.size() == 1);
  CHECK(has_fault(refused, "lies outside of the folder of the data"));
  CHECK(read(folder / "voc", true).samples.size() == 2);
}
