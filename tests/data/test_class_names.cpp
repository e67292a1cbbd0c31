// Names of classes that no data may have, and names that a person would take for one.
#include "data/class_names.h"

#include "data/class_limits.h"
#include "tests/data/label_folder.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

const std::string kBlank = " \t";

/// How a folder with an image a.jpg and this file is read: the sentence of the refusal, or of the first
/// fault.
std::string complaint(const std::string& file, const std::string& content) {
  LabelFolder made;
  made.image("images/a.jpg");
  made.text("labels/a.txt", "0 0.5 0.5 0.5 0.5\n");
  made.text(file, content);
  if (file.ends_with(".csv") || file.ends_with(".json") || file.ends_with(".xml"))
    std::filesystem::remove_all(made.folder / "labels");
  try {
    const Dataset data = made.read();
    for (const std::string& name : data.classes) CHECK(name.find_first_not_of(kBlank) != std::string::npos);
    return data.faults.empty() ? "" : data.faults.front().what;
  } catch (const InputError& refused) {
    return refused.what();
  }
}

}  // namespace

TEST_CASE("class names: none is empty, whatever the form of the labels") {
  CHECK(contains(input_error([] {
                   check_class_names("a.csv", {"cat", ""});
                 }),
                 "a.csv has a class without a name"));
  CHECK_NOTHROW(check_class_names("a.csv", {"cat", "dog"}));
  for (const std::string& name : {std::string(), kBlank}) {
    CAPTURE(name);
    const std::string escaped = name.empty() ? "" : " \\t";
    CHECK(contains(
        complaint("images/_annotations.coco.json",
                  R"({"images":[{"id":1,"file_name":"a.jpg","width":40,"height":30}],"annotations":[{"id":1,)"
                  R"("image_id":1,"category_id":1,"bbox":[1,1,9,9]}],"categories":[{"id":1,"name":")" +
                      escaped + R"("}]})"),
        "categories[0] has a name that is empty or not a string"));
    CHECK(contains(complaint("images/a.xml",
                             "<annotation><filename>a.jpg</filename><size><width>40</width>"
                             "<height>30</height></size><object><name>" +
                                 name +
                                 "</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax>"
                                 "<ymax>9</ymax></bndbox></object></annotation>"),
                   "has no name for object 1"));
    for (const std::string& names : {"[cat, '" + name + "']", "{0: cat, 1: '" + name + "'}"})
      CHECK(contains(complaint("data.yaml", "train: images\nnames: " + names + "\n"),
                     "data.yaml has an empty name for the class 1"));
    CHECK(
        contains(complaint("classes.txt", "cat\n" + name + "\ndog\n"), "has an empty name for the class 1"));
    CHECK(contains(complaint("images/labels.csv",
                             "filename,width,height,class,xmin,ymin,xmax,ymax\n"
                             "a.jpg,40,30," +
                                 name + ",1,1,9,9\n"),
                   "has no name of a class; the object is skipped"));
    CHECK(contains(complaint("images/a.json",
                             R"({"version":"5.0","shapes":[{"label":")" + escaped +
                                 R"(","points":[[1,1],[9,9]],"shape_type":"rectangle"}],"imagePath":"a.jpg",)"
                                 R"("imageData":null,"imageHeight":30,"imageWidth":40})"),
                   "has no name of a class; the object is skipped"));
  }
}
