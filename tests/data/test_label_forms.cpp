// The forms of data/label_forms.h: what their readers make of a file, and how the images are found.
#include "data/label_forms.h"

#include "data/folder.h"
#include "data/labelled.h"
#include "tests/data/label_folder.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Names = std::vector<std::string>;

using Maker = LabelFolder;

/// "a: cat 1 2 3 4, dog 5 6 7 8; b:" for the samples of a dataset.
std::string summary(const Dataset& data) {
  std::string text;
  for (const Sample& sample : data.samples) {
    text += (text.empty() ? "" : "; ") + sample.id + ":";
    for (const Object& object : sample.objects)
      text += fmt::format("{} {} {} {} {} {}", text.back() == ':' ? "" : ",",
                          data.classes.at(static_cast<size_t>(object.label - 1)), object.box.x1,
                          object.box.y1, object.box.x2, object.box.y2);
  }
  return text;
}

/// Checks that there is a fault for each of the words, in this order, and no other.
void check_faults(const Dataset& data, const Names& words) {
  REQUIRE(data.faults.size() == words.size());
  for (size_t i = 0; i < words.size(); ++i) {
    CAPTURE(data.faults[i].what);
    CHECK(contains(data.faults[i].what, words[i]));
    CHECK(data.faults[i].what.ends_with('.'));
  }
}

const char* const kCvat = R"(<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task/></meta>
<image id="0" name="a.jpg" width="40" height="30">
  <box label="cat" occluded="0" xtl="1.5" ytl="2" xbr="11.25" ybr="12"/>
  <polygon label="dog" points="20,5;30,6;25.5,20"/>
  <box label="cat" xtl="10" ytl="10" xbr="30" ybr="14" rotation="90"/>
  <ellipse label="dog" cx="20" cy="15" rx="4" ry="3" rotation="90"/>
  <mask label="dog" left="3" top="4" width="5" height="6" rle="1,2"/>
  <tag label="night"/>
  <points label="cat" points="1,2"/>
  <box label="cat" xtl="1" ytl="2" xbr="x" ybr="12"/>
  <box label="" xtl="1" ytl="2" xbr="5" ybr="12"/>
  <box label="cat" xtl="9" ytl="2" xbr="5" ybr="12"/>
</image>
<image id="1" name="b.jpg" width="40" height="30"/>
</annotations>)";

}  // namespace

TEST_CASE("cvat: boxes, outlines and turned boxes are read, an image without objects stays") {
  const Maker maker;
  maker.image("images/a.jpg");
  maker.image("images/b.jpg");
  maker.text("annotations.xml", kCvat);
  CHECK(maker.find().form == "cvat");
  const Dataset data = maker.read();
  CHECK(data.classes == Names{"cat", "dog"});
  CHECK(summary(data) ==
        "a: cat 1.5 2 11.25 12, dog 20 5 30 20, cat 18 2 22 22, dog 17 11 23 19, dog 3 4 8 10; b:");
  check_faults(data, {"a.jpg, object 6 is a points, which gives no box", "object 7 lacks a coordinate",
                      "object 8 has no name", "object 9 (cat): 9 2 5 12 is a reversed box"});
  CHECK(data.faults[3].kind == FaultKind::reversed_box);
  CHECK(summary(read_split(find_data(maker.folder / "annotations.xml"), "")) == summary(data));
}

TEST_CASE("cvat: a size that no image can have is quoted, and that of the image is used") {
  const Maker maker;
  maker.image("a.jpg");
  const auto read = [&](const std::string& sides, bool rescale = false) {
    maker.text("annotations.xml",
               "<annotations><image name=\"a.jpg\" " + sides +
                   "><box label=\"cat\" xtl=\"1\" ytl=\"2\" xbr=\"11\" ybr=\"12\"/></image></annotations>");
    DataFolder folder = maker.find();
    folder.options.rescale_boxes = rescale;
    const Dataset data = read_split(folder, "");
    CHECK(summary(data) == "a: cat 1 2 11 12");
    return data;
  };
  for (const std::string wrong : {"-40", "0", "", "abc", "inf", "nan", "320.5", "240px", "0x140", "65536",
                                  "99999999999999999999", "1e300", "4 0"}) {
    CAPTURE(wrong);
    for (const bool rescale : {false, true}) {
      const Dataset width = read("width='" + wrong + "' height='30'", rescale);
      check_faults(width,
                   {"image a.jpg has the width '" + wrong +
                    "' and the height '30'; expected whole numbers from 1 to 65535, so the image's own "
                    "size is used"});
      CHECK(width.faults.front().kind == FaultKind::image_size);
      check_faults(read("width='40' height='" + wrong + "'", rescale),
                   {"has the width '40' and the height '" + wrong + "'; expected whole numbers"});
    }
  }
  check_faults(read("height='30'"), {"image a.jpg has no width and the height '30'; expected whole numbers"});
  check_faults(read(""), {"image a.jpg has no width and no height; expected whole numbers"});
  check_faults(read("width='40' height='30'"), {});
  check_faults(read("width=' 40 ' height='4e1'"), {"gives the size 40 x 40, but the image has 40 x 30"});
}

TEST_CASE("cvat: the form for videos is named, and not read") {
  const Maker maker;
  maker.image("a.jpg");
  maker.text("annotations.xml", "<annotations><track id=\"0\" label=\"cat\"><box/></track></annotations>");
  CHECK(contains(input_error([&] { maker.read(); }), "is CVAT's XML for videos"));
}

TEST_CASE("tf csv: lines become objects of their images, in any order of columns") {
  for (const std::string separator : {",", ";", "\t"}) {
    CAPTURE(separator);
    std::string table =
        "\xEF\xBB\xBF"
        "filename,width,height,class,xmin,ymin,xmax,ymax\r\n"
        "a.jpg,40,30,cat,1,2,11.5,12\r\n"
        "b.jpg,40,30,\"dog, \"\"big\"\"\",3,4,20,25\r\n"
        "\r\n"
        "a.jpg,40,30,cat,20,10,30,20\r\n"
        "c.jpg,40,30,,,,,\r\n"
        "b.jpg,40,30,cat,3,4,x,25\r\n"
        ",40,30,cat,3,4,20,25\r\n";
    std::string other;
    bool quoted = false;
    for (const char c : table) {
      quoted = quoted != (c == '"');
      other += c == ',' && !quoted ? separator : std::string(1, c);
    }
    const Maker maker;
    for (const char* name : {"a.jpg", "b.jpg", "c.jpg", "d.jpg"}) maker.image(name);
    maker.text("labels.csv", other);
    CHECK(maker.find().form == "csv");
    const Dataset data = maker.read();
    CHECK(summary(data) == "a: cat 1 2 11.5 12, cat 20 10 30 20; b: dog, \"big\" 3 4 20 25; c:");
    check_faults(data, {"line 7 lacks a coordinate", "line 8 has no filename",
                        "has 1 image without an annotation (d.jpg)"});
  }
  const Maker maker;
  maker.image("a.jpg");
  maker.text("labels.csv", "filename,class,xmin,ymin,xmax,ymax\na.jpg,\"cat,1,2,3,4\n");
  CHECK(contains(input_error([&] { maker.read(); }), "quotation mark that opens in line 2 is not closed"));
}

TEST_CASE("tf csv: a file for each split, beside folders of images or in them") {
  const std::string header = "xmin,ymin,xmax,ymax,class,filename\n";
  const Maker maker;  // the same names in both splits
  for (const std::string split : {"train", "test"}) {
    maker.image("images/" + split + "/a.jpg");
    maker.text("annotations/" + split + "_labels.csv",
               header + (split == "train" ? "1,2,11,12,cat,a.jpg\n" : "5,6,15,16,cat,a.jpg\n"));
  }
  CHECK(maker.find().splits == Names{"train", "test"});
  CHECK(summary(maker.read("train")) == "a: cat 1 2 11 12");
  const Dataset test = maker.read("test");
  CHECK(summary(test) == "a: cat 5 6 15 16");
  CHECK(test.samples[0].image == maker.folder / "images/test/a.jpg");

  const Maker roboflow;
  for (const std::string split : {"train", "valid"}) {
    roboflow.image(split + "/a.jpg");
    roboflow.text(split + "/_annotations.csv", header + "1,2,11,12,cat,a.jpg\n");
  }
  CHECK(roboflow.find().form == "splits");
  CHECK(roboflow.find().splits == Names{"train", "val"});
  CHECK(summary(roboflow.read("val")) == "a: cat 1 2 11 12");
}

TEST_CASE("via: shapes of both versions, and of a saved project") {
  const std::string images = R"({
    "a.jpg123": {"filename": "a.jpg", "size": 123, "file_attributes": {}, "regions": [
      {"shape_attributes": {"name": "rect", "x": 1, "y": 2, "width": 10, "height": 10.5}, "region_attributes": {"kind": "x", "class": "cat"}},
      {"shape_attributes": {"name": "polygon", "all_points_x": [20, 30, 25], "all_points_y": [5, 6, 20]}, "region_attributes": {"class": "dog"}},
      {"shape_attributes": {"name": "circle", "cx": 20, "cy": 15, "r": 4}, "region_attributes": {"class": {"cat": true, "dog": false}}},
      {"shape_attributes": {"name": "ellipse", "cx": 20, "cy": 15, "rx": 4, "ry": 3, "theta": 0}, "region_attributes": {"class": "cat"}},
      {"shape_attributes": {"name": "point", "cx": 20, "cy": 15}, "region_attributes": {"class": "cat"}},
      {"shape_attributes": {"name": "rect", "x": 1, "y": 2, "width": "a", "height": 10}, "region_attributes": {"class": "cat"}},
      {"shape_attributes": {"name": "rect", "x": 1, "y": 2, "width": 3, "height": 10}, "region_attributes": {}}]},
    "b.jpg9": {"filename": "b.jpg", "regions": {"0": {"shape_attributes": {"name": "rect", "x": 5, "y": 6, "width": 7, "height": 8}, "region_attributes": {"class": "dog"}}}},
    "c.jpg9": {"filename": "c.jpg", "regions": []}})";
  for (const std::string& text : {images, "{\"_via_settings\": {}, \"_via_img_metadata\": " + images + "}"}) {
    const Maker maker;
    for (const char* name : {"a.jpg", "b.jpg", "c.jpg"}) maker.image(name);
    maker.text("via_region_data.json", text);
    CHECK(maker.find().form == "via");
    const Dataset data = maker.read();
    CHECK(summary(data) ==
          "a: cat 1 2 11 12.5, dog 20 5 30 20, cat 16 11 24 19, cat 16 12 24 18; b: dog 5 6 12 14; c:");
    check_faults(data, {"a.jpg, region 5 is a point, which gives no box", "region 6 lacks a coordinate",
                        "region 7 has no name of a class"});
  }
  const Maker maker;
  maker.image("a.jpg");
  maker.text("via.json", R"({"a.jpg1": {"filename": "a.jpg", "regions": [{"shape_attributes": {"name": "rect",
    "x": 1, "y": 2, "width": 3, "height": 10}, "region_attributes": {"colour": "red", "age": "3"}}]}})");
  CHECK(contains(input_error([&] { maker.read(); }), "attributes age, colour; none of them is called class"));
}

TEST_CASE("open images: shares of the image, names of classes by their codes, groups as crowds") {
  const Maker maker;
  for (const char* name : {"train/a1.jpg", "train/b2.jpg", "validation/c3.jpg"}) maker.image(name);
  const std::string header = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsGroupOf\n";
  maker.text("train-annotations-bbox.csv", header +
                                               "a1,xclick,/m/01yrx,1,0.25,0.75,0.5,1,0,0\n"
                                               "a1,xclick,/m/0bt9lr,1,0,0.5,0,0.1,0,1\n"
                                               "b2,xclick,/m/0bt9lr,1,0.1,0.2,0.1,0.3,0,0\n"
                                               "gone,xclick,/m/0bt9lr,1,0.1,0.2,0.1,0.3,0,0\n"
                                               "away,xclick,/m/0bt9lr,1,0.1,0.2,0.1,0.3,0,0\n");
  maker.text("validation-annotations-bbox.csv", header + "c3,xclick,/m/x,1,0.25,0.75,0.5,1,0,0\n");
  maker.text("class-descriptions-boxable.csv", "/m/01yrx,Cat\n/m/0bt9lr,\"Dog\"\n");
  CHECK(maker.find().form == "open-images");
  CHECK(maker.find().splits == Names{"train", "val"});
  const Dataset data = maker.read("train");
  CHECK(summary(data) == "a1: Cat 10 15 30 30, Dog 0 0 20 3; b2: Dog 4 3 8 9");
  CHECK(!data.samples[0].objects[0].crowd);
  CHECK(data.samples[0].objects[1].crowd);
  check_faults(data, {"2 of 4 annotated images are missing (gone is the first) and left out"});
  CHECK(read_split(maker.find(), "val").classes == Names{"/m/x"});  // not described
  maker.text("validation-annotations-bbox.csv", header);
  CHECK(contains(input_error([&] { maker.read("val"); }), "holds Open Images' CSV, but lists no image"));
}

TEST_CASE("labelme: a file per image, at any depth, with corners in any order") {
  const Maker maker;
  maker.image("a.jpg");
  maker.image("more/b.jpg");
  maker.text("a.json", R"({"version": "5.0.1", "flags": {}, "shapes": [
    {"label": "cat", "points": [[11, 12.5], [1, 2]], "shape_type": "rectangle"},
    {"label": "dog", "points": [[20, 5], [30, 6], [25, 20]], "shape_type": "polygon"},
    {"label": "dog", "points": [[20, 5], [30, 6], [25, 20]]},
    {"label": "cat", "points": [[20, 15], [23, 19]], "shape_type": "circle"},
    {"label": "cat", "points": [[20, 15]], "shape_type": "point"},
    {"label": "cat", "points": [[20, 15], [3]], "shape_type": "rectangle"},
    {"label": " ", "points": [[20, 15], [30, 20]], "shape_type": "rectangle"}],
    "imagePath": "..\\photos\\a.jpg", "imageData": null, "imageHeight": 30, "imageWidth": 40})");
  maker.text("more/b.json", R"({"shapes": [], "imagePath": "x.png", "imageHeight": 30, "imageWidth": 40})");
  maker.text("more/cut.json", R"({"shapes": [)");
  maker.text("settings.json", R"({"theme": "dark"})");
  CHECK(maker.find().form == "labelme");
  const Dataset data = maker.read();
  CHECK(summary(data) == "a: cat 1 2 11 12.5, dog 20 5 30 20, dog 20 5 30 20, cat 15 10 25 20; b:");
  check_faults(data, {"shape 5 is a point, which gives no box", "shape 6 has no list of two or more points",
                      "shape 7 has no name of a class", "cut.json",
                      "more/b.json names the image 'x.png', but has the name of b.jpg, which is used"});
}

TEST_CASE("labelled: an annotation never gets the image of another one") {
  const std::string header = "filename,class,xmin,ymin,xmax,ymax\n";
  const Maker maker;
  maker.image("day/x.jpg");
  maker.image("night/y.jpg");
  maker.image("one/z.jpg");
  maker.image("two/z.jpg");
  // "dusk/x.jpg" has the name of an image that another line names with its path. "w/y.png" names none, but
  // nothing else names the image y. Two images fit "z.jpg".
  maker.text("labels.csv", header +
                               "day/x.jpg,cat,1,2,11,12\ndusk/x.jpg,cat,1,2,11,13\nw/y.png,cat,1,2,11,14\n"
                               "z.jpg,cat,1,2,11,15\n");
  const Dataset data = maker.read();
  CHECK(summary(data) == "x: cat 1 2 11 12; y: cat 1 2 11 14");
  check_faults(data, {"1 image was found by its name alone", "z.jpg fits 2 images",
                      "1 of 4 annotated images is missing (dusk/x.jpg) and left out",
                      "has 2 images without an annotation"});
}

TEST_CASE("labelled: an annotation never gets the image of another split, or a mask") {
  const std::string header = "filename,class,xmin,ymin,xmax,ymax\n";
  const Maker maker;
  for (const char* name : {"train/2.jpg", "test/1.jpg", "masks/3.png", "train/caf\xC3\xA9.JPG"})
    maker.image(name);
  maker.text("train_labels.csv", header +
                                     "1.jpg,cat,1,2,11,12\n2.jpg,cat,1,2,11,13\n3.jpg,cat,1,2,11,14\n"
                                     "cafe\xCC\x81.jpg,cat,1,2,11,15\n");
  maker.text("test_labels.csv", header + "1.jpg,cat,1,2,11,16\n");
  const Dataset train = maker.read("train"), test = maker.read("test");
  CHECK(summary(train) == "2: cat 1 2 11 13; caf\xC3\xA9: cat 1 2 11 15");
  check_faults(train, {"1 image was found by its name alone",
                       "2 of 4 annotated images are missing (1.jpg is the first)"});
  CHECK(summary(test) == "1: cat 1 2 11 16");
}

TEST_CASE("labelled: sizes that disagree and boxes outside are said of the image") {
  const Maker maker;
  maker.image("a.jpg");
  maker.text("labels.csv",
             "filename,width,height,class,xmin,ymin,xmax,ymax\n"
             "a.jpg,80,60,cat,1,2,11,12\na.jpg,80,60,cat,30,20,50,60\na.jpg,80,60,cat,50,2,60,12\n");
  const Dataset data = maker.read();
  CHECK(summary(data) == "a: cat 1 2 11 12, cat 30 20 40 30");
  check_faults(data,
               {"labels.csv: a.jpg gives the size 80 x 60, but the image has 40 x 30",
                "labels.csv: a.jpg has a box partly outside", "labels.csv: a.jpg has a box wholly outside"});
}

TEST_CASE("labelled: a form that is recognised but not read is named") {
  const std::pair<const char*, std::pair<const char*, const char*>> cases[] = {
      {"a.json", {R"([{"image": "a.jpg", "annotations": []}])", "Create ML's JSON"}},
      {"a.json",
       {R"([{"id": 1, "data": {"image": "a.jpg"}, "annotations": []}])", "Label Studio's own JSON"}},
      {"a.json", {R"({"asset": {}, "regions": []})", "VoTT's JSON"}},
      {"a.json", {R"({"size": {}, "objects": []})", "Supervisely's JSON"}},
      {"a.xml",
       {"<dataset><images><image file='a.jpg'><box top='1'/></image></images></dataset>",
        "the XML of dlib's imglab"}},
      {"a.csv", {"ImageID,Source,LabelName,Confidence\n", "Open Images' labels of whole images"}},
      {"a.csv", {"filename,file_size,region_shape_attributes,region_attributes\n", "VIA's CSV"}},
      {"a.csv", {"a.jpg,1,2,3,4,cat\n", "a table without the columns filename"}},
      {"a.tfrecord", {"x", "a TFRecord"}},
  };
  for (const auto& [name, content] : cases) {
    CAPTURE(content.first);
    const Maker maker;
    maker.image("a.jpg");
    maker.text(name, content.first);
    const std::string sentence = input_error([&] { maker.find(); });
    CAPTURE(sentence);
    CHECK(contains(sentence, std::string(name) + " is " + content.second));
    CHECK(contains(sentence, "which is not read; export the data as COCO, Pascal VOC or YOLO"));
  }
}
