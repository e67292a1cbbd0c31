// COCO files as other programs write them: cut off, in other encodings, with numbers as text.
#include "data/coco.h"
#include "data/folder.h"
#include "data/json_file.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

const std::string kImages = R"([{"id": 7, "file_name": "a.jpg", "width": 40, "height": 30}])";
const std::string kCategories = R"([{"id": 3, "name": "cat"}])";

std::string coco_json(const std::string& annotations, const std::string& images = kImages,
                      const std::string& categories = kCategories) {
  return R"({"images": )" + images + ",\n" + R"("annotations": [)" + annotations + "],\n" +
         R"("categories": )" + categories + "}";
}

/// An annotation of the image 7 with a box, and with more keys.
std::string annotation(const std::string& more) {
  return R"({"image_id": 7, "category_id": 3, "bbox": [1, 2, 10, 20])" + more + "}";
}

CocoFile parse(const std::string& json) {
  const TemporaryFolder folder;
  write_text(folder / "coco.json", json);
  return read_coco_file(folder / "coco.json");
}

std::string fault(const std::string& json) {
  const std::string sentence = input_error([&] { parse(json); });
  CAPTURE(sentence);
  CHECK(contains(sentence, "coco.json is not JSON"));
  CHECK(sentence.ends_with('.'));
  return sentence;
}

std::string as_utf16(const std::string& text, bool big_endian) {
  std::string wide = big_endian ? "\xFE\xFF" : "\xFF\xFE";
  for (const char c : text) {
    if (big_endian) wide += '\0';
    wide += c;
    if (!big_endian) wide += '\0';
  }
  return wide;
}

}  // namespace

TEST_CASE("coco texts: a file that is not JSON is refused with the reason and the place") {
  const std::string good = coco_json(annotation(""));
  CHECK(contains(fault(good.substr(0, good.size() - 5)),
                 fmt::format("cut off at byte {}, line 3", good.size() - 4)));
  CHECK(contains(fault(good.substr(0, 20)), "cut off at byte 21, line 1"));
  CHECK(contains(fault(""), "it is empty"));
  CHECK(contains(fault(" \n"), "it is empty"));
  CHECK(contains(fault(as_utf16(good, false)), "it is UTF-16 text"));
  CHECK(contains(fault(as_utf16(good, true)), "it is UTF-16 text"));
  CHECK(contains(fault(as_utf16(good, true).substr(2)), "it is UTF-16 text"));

  const auto at = [](const std::string& json, const std::string& word) {
    return fmt::format("at byte {}, line 2", json.find(word) + 1);
  };
  for (const std::string word : {"NaN", "nan", "Infinity", "-Infinity", "-inf"}) {
    const std::string json = coco_json(annotation(R"(, "area": )" + word));
    const std::string sentence = fault(json);
    CHECK(contains(sentence, at(json, word) + ": " + word + " is no number there"));
  }
  std::string json = coco_json(annotation("") + " ,");
  CHECK(contains(fault(json), at(json, ",],") + ": there is a comma after the last entry, before the ]"));
  json = coco_json(annotation(", "));
  CHECK(contains(fault(json), at(json, ", }") + ": there is a comma after the last entry, before the }"));
  json = coco_json(annotation(R"(, "name": "caf)"
                              "\xE9"
                              R"(")"));
  CHECK(contains(fault(json),
                 at(json, "\xE9") + ": the byte 0xE9 is not UTF-8, so the text is probably Latin-1"));
  json = coco_json(annotation(R"(, 'name': 1)"));
  CHECK(contains(fault(json), at(json, "'name'") + " ("));
}

TEST_CASE("coco texts: a split does not vanish because its file is cut off, empty or in UTF-16") {
  const std::string good = coco_json(annotation(""));
  for (const std::string& broken : {good.substr(0, good.size() / 2), std::string(), as_utf16(good, false)})
    for (const std::string split : {"train", "valid", "test"}) {
      const TemporaryFolder folder;
      for (const std::string each : {"train", "valid", "test"}) {
        write_bytes(folder / (each + "/a.jpg"), stb_jpeg(smooth_image(40, 30)));
        write_text(folder / (each + "/_annotations.coco.json"), each == split ? broken : good);
      }
      const DataFolder found = find_data(folder.path());
      CHECK(found.form == "splits");
      CHECK(found.splits == std::vector<std::string>{"train", "val", "test"});
      CHECK(contains(input_error([&] { read_split(found, split); }),
                     split + "/_annotations.coco.json is not JSON"));
    }
  // Under another name, by the words in the file.
  const TemporaryFolder folder;
  write_bytes(folder / "images/a.jpg", stb_jpeg(smooth_image(40, 30)));
  write_text(folder / "annotations/train.json", good);
  write_text(folder / "annotations/val.json", good.substr(0, 60));
  write_text(folder / "annotations/notes.json", "{");
  CHECK(find_data(folder.path()).splits == std::vector<std::string>{"train", "val"});
  // A file that is named says what is wrong with it.
  CHECK(
      contains(input_error([&] { find_data(folder / "annotations/notes.json"); }), "notes.json is not JSON"));
}

TEST_CASE("coco texts: numbers written as text") {
  const CocoFile file = parse(coco_json(
      R"({"image_id": "7", "category_id": "3", "bbox": ["1", "2.5", 10, " 20 "], "area": "12.5", "iscrowd": "1"})",
      R"([{"id": "7", "file_name": "a.jpg", "width": "40", "height": "30.0"}])",
      R"([{"id": "3", "name": "cat"}])"));
  CHECK(file.faults.empty());
  CHECK(file.images[0].id == 7);
  CHECK(file.images[0].width == 40);
  CHECK(file.images[0].height == 30);
  REQUIRE(file.annotations.size() == 1);
  const CocoAnnotation& read = file.annotations[0];
  CHECK(read.image == 7);
  CHECK(read.category == 3);
  CHECK(read.x == 1);
  CHECK(read.y == 2.5);
  CHECK(read.height == 20);
  CHECK(read.area == 12.5);
  CHECK(read.crowd);
}

TEST_CASE("coco texts: area and iscrowd as text, bool or null") {
  const auto area = [](const std::string& value) {
    const CocoFile file = parse(coco_json(annotation(R"(, "area": )" + value)));
    CHECK(file.faults.empty());
    return file.annotations.at(0).area;
  };
  for (const char* none : {"null", "true", "false", "\"\"", "\" \""}) CHECK(area(none) == 200);
  CHECK(area("\"55\"") == 55);
  CHECK(area("0") == 0);
  const auto crowd = [](const std::string& value) {
    const CocoFile file = parse(coco_json(annotation(R"(, "iscrowd": )" + value)));
    CHECK(file.faults.empty());
    return file.annotations.at(0).crowd;
  };
  for (const char* yes : {"1", "1.0", "true", "\"1\"", "\"true\"", "\"True\""}) CHECK(crowd(yes));
  for (const char* no : {"0", "false", "null", "\"0\"", "\"false\"", "\"\""}) CHECK_FALSE(crowd(no));
  const CocoFile bad = parse(coco_json(annotation(R"(, "iscrowd": "maybe")")));
  REQUIRE(bad.faults.size() == 1);
  CHECK(contains(bad.faults[0].what, "annotations[0] has the iscrowd \"maybe\""));
}

TEST_CASE("coco texts: without a bbox the box is the one around the polygons") {
  const auto read = [](const std::string& rest) {
    return parse(coco_json(R"({"image_id": 7, "category_id": 3, )" + rest + "}"));
  };
  const CocoFile two = read(R"("segmentation": [[5, 6, 15, 6, 10, 26.5], [3, 10, 4, 11, 3, 12]], "area": 9)");
  REQUIRE(two.annotations.size() == 1);
  CHECK(two.annotations[0].x == 3);
  CHECK(two.annotations[0].y == 6);
  CHECK(two.annotations[0].width == 12);
  CHECK(two.annotations[0].height == 20.5);
  CHECK(two.annotations[0].area == 9);
  for (const char* rest :
       {R"("segmentation": [5, 6, 15, 26], "bbox": null)",
        R"("segmentation": [[5, 6, 15, 26], []], "bbox": [])", R"("segmentation": [[5, 6], [15, 26]])",
        R"("segmentation": [["5", "6", "15", "26"]])"}) {
    CAPTURE(rest);
    const CocoFile file = read(rest);
    REQUIRE(file.annotations.size() == 1);
    CHECK(file.annotations[0].width == 10);
    CHECK(file.annotations[0].height == 20);
  }
  for (const char* rest :
       {R"("area": 3)", R"("segmentation": [])", R"("segmentation": [[]])",
        R"("segmentation": {"counts": [1, 2], "size": [3, 4]})", R"("segmentation": [[1, 2, 3]])",
        R"("segmentation": [[1, 2, 3, "x"]])", R"("segmentation": [[1, 2, 3, 1e10]])"}) {
    CAPTURE(rest);
    const CocoFile file = read(rest);
    CHECK(file.annotations.empty());
    REQUIRE(file.faults.size() == 1);
    CHECK(contains(file.faults[0].what, "annotations[0]"));
    CHECK(contains(file.faults[0].what, "The annotation is skipped."));
  }
}

TEST_CASE("coco texts: an entry that repeats an earlier one is skipped with a fault") {
  const CocoFile file = parse(coco_json(
      annotation(""), R"([{"id": 7, "file_name": "a.jpg"}, {"id": 7, "file_name": "a.jpg"}])",
      R"([{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}, {"id": 3, "name": "cat", "supercategory": ""}])"));
  CHECK(file.images.size() == 1);
  CHECK(file.categories.size() == 2);
  CHECK(file.annotations.size() == 1);
  REQUIRE(file.faults.size() == 2);
  CHECK(contains(file.faults[0].what, "images[1] repeats an earlier entry, with the id 7"));
  CHECK(contains(file.faults[1].what, "categories[2] repeats an earlier entry, with the id 3"));
}

TEST_CASE("coco texts: control characters in names of categories are escaped, and still match results") {
  const CocoFile file =
      parse(coco_json(annotation(""), kImages, R"([{"id": 3, "name": "\u001b[31mcat\nfish \n"}])"));
  // Spaces and line ends around a name do not belong to it.
  CHECK(file.categories[0].name == "\\x1B[31mcat\\x0Afish");
  const TemporaryFolder folder;
  write_text(folder / "found.json",
             R"([{"image_id": "a", "category_name": "\u001b[31mcat\nfish\n", "bbox": [1, 2, 3, 4],)"
             R"( "score": "0.5"}])");
  const std::vector<CocoResult> found =
      read_coco_results(folder / "found.json", {{{"a", 9}}, {{file.categories[0].name, 5}}});
  CHECK(found.at(0).category == 5);
  CHECK(found.at(0).score == 0.5);
}

TEST_CASE("coco texts: the number of an image in a results file may be written as text") {
  const TemporaryFolder folder;
  write_text(folder / "found.json",
             R"([{"image_id": "12", "category_id": "3", "bbox": [1, 2, 3, 4], "score": 1}])");
  CHECK(read_coco_results(folder / "found.json").at(0).image == 12);
  CHECK(read_coco_results(folder / "found.json", {{{"12", 40}}, {}}).at(0).image ==
        40);  // a name, if the data has it
}
