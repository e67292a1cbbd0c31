// Boxes from 0 to 1 in forms whose boxes are in pixels.
#include "data/normalised.h"

#include "tests/data/label_folder.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

std::string coco(const std::string& first_bbox) {
  return R"({"images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}], "categories": [{"id": 1,)"
         R"( "name": "cat"}], "annotations": [{"image_id": 1, "category_id": 1, "bbox": )" +
         first_bbox + R"(}, {"image_id": 1, "category_id": 1, "bbox": [0, 0.5, 0.75, 0.5]}]})";
}

std::string voc(const std::string& xmin, const std::string& xmax) {
  return "<annotation><size><width>40</width><height>30</height></size><object><name>cat</"
         "name><bndbox><xmin>" +
         xmin + "</xmin><ymin>0</ymin><xmax>" + xmax +
         "</xmax><ymax>0.75</ymax></bndbox></object></annotation>";
}

void check_refused(const LabelFolder& maker, const std::string& name) {
  const std::string sentence = input_error([&] { maker.read(); });
  CAPTURE(sentence);
  CHECK(contains(sentence, name));
  CHECK(contains(sentence, "the boxes look normalised"));
  CHECK(contains(sentence, "where pixels are expected"));
  CHECK(sentence.ends_with('.'));
}

}  // namespace

TEST_CASE("normalised: a file whose boxes are all shares is refused, in every form of pixels") {
  LabelFolder in_coco;
  in_coco.image("a.jpg");
  in_coco.text("a.json", coco("[0.25, 0.25, 0.5, 0.5]"));
  check_refused(in_coco, "a.json");
  LabelFolder in_voc;
  in_voc.image("a.jpg");
  in_voc.text("a.xml", voc("0", "0.5"));
  check_refused(in_voc, in_voc.folder.path().string());
  LabelFolder in_csv;
  in_csv.image("a.jpg");
  in_csv.text("a.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,40,30,cat,.25,.5,.75,1\n");
  check_refused(in_csv, "a.csv");
}

TEST_CASE(
    "normalised: boxes of which one reaches beyond the first pixel are pixels, and whole ones are tiny") {
  LabelFolder maker;
  maker.image("a.jpg");
  maker.text("a.json", coco("[0.25, 0.25, 8, 6]"));
  CHECK(maker.read().samples.at(0).objects.size() == 2);
  NormalisedBoxes whole, small_image, none;
  whole.add({0, 0, 1, 1}, {40, 30});
  small_image.add({0, 0, 0.5f, 0.5f}, {8, 8});
  for (const NormalisedBoxes* boxes : {&whole, &small_image, &none}) CHECK_NOTHROW(boxes->check("a"));
  NormalisedBoxes unknown_size;
  unknown_size.add({0, 0, 0.5f, 0.5f}, {});
  CHECK(
      contains(input_error([&] { unknown_size.check("the file"); }), "the file: the boxes look normalised"));
}

TEST_CASE("normalised: forms of shares may have boxes within a pixel") {
  LabelFolder maker;
  maker.image("images/a.jpg");
  maker.text("labels/a.txt", "0 0.01 0.01 0.01 0.01\n");
  maker.text("classes.txt", "cat\n");
  CHECK(maker.read().samples.at(0).objects.size() == 1);
}
