#include "data/coco.h"

#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

const std::string kImages = R"([{"id": 7, "file_name": "a.jpg", "width": 40, "height": 30}])";
const std::string kCategories = R"([{"id": 0, "name": "cat"}])";

/// An annotation for image 7 and category 0.
std::string annotation(const std::string& bbox, const std::string& more = "") {
  return R"({"image_id": 7, "category_id": 0, "bbox": )" + bbox + more + "}";
}

std::string coco_json(const std::string& annotations, const std::string& images = kImages,
                      const std::string& categories = kCategories) {
  return R"({"info": {"year": 2026}, "images": )" + images + R"(, "annotations": [)" + annotations +
         R"(], "categories": )" + categories + "}";
}

/// A folder with the 40 x 30 image a.jpg and a COCO file.
struct CocoFolder {
  TemporaryFolder folder;
  std::filesystem::path file = folder / "coco.json";

  explicit CocoFolder(const std::string& json) {
    write_text(file, json);
    image("a.jpg");
  }
  void image(const std::string& name) const { write_bytes(folder / name, stb_jpeg(smooth_image(40, 30))); }
  Dataset read(const std::vector<std::string>& classes = {}) const {
    return read_coco(file, folder.path(), classes);
  }
};

CocoFile parse(const std::string& json) { return read_coco_file(CocoFolder(json).file); }

/// The message about a file that cannot be read, which must name the file.
std::string refusal(const std::string& json) {
  const CocoFolder coco(json);
  const std::string sentence = input_error([&] { read_coco_file(coco.file); });
  INFO(sentence);
  CHECK(contains(sentence, "coco.json"));
  CHECK(sentence.back() == '.');
  return sentence;
}

/// Checks that the data has one fault, whose message has all of `words`.
void check_fault(const std::vector<Fault>& faults, const std::vector<std::string>& words) {
  REQUIRE(faults.size() == 1);
  INFO(faults[0].what);
  CHECK(contains(faults[0].what, faults[0].file.filename().string()));
  CHECK(faults[0].what.back() == '.');
  for (const std::string& word : words) {
    INFO(word);
    CHECK(contains(faults[0].what, word));
  }
}

std::vector<CocoResult> parse_results(const std::string& json, const CocoNumbers& numbers = {}) {
  const TemporaryFolder folder;
  write_text(folder / "found.json", json);
  return read_coco_results(folder / "found.json", numbers);
}

}  // namespace

TEST_CASE("coco: numbers are exact, ids may have any size, and unknown keys are skipped") {
  const CocoFile file = parse(coco_json(
      R"({"id": 5, "segmentation": [[1, 2, 3]], "image_id": 9223372036854775807, "category_id": -3,
          "bbox": [258.15, 41.29, 0.1, 1e1], "area": 12.345678901234567, "iscrowd": 1},
         {"image_id": 0.0, "category_id": 90.0, "bbox": [1, 2, 3, 4], "iscrowd": false, "area": null},
         {"image_id": 0, "category_id": 90, "bbox": [1, 2, 3, 4], "iscrowd": true, "area": 0})",
      R"([{"id": 9223372036854775807, "file_name": "train/x y.jpg", "width": 640, "height": 480.0, "licence": 3},
          {"id": 0, "file_name": "straße.png", "width": null, "height": -5}])",
      R"([{"id": 90, "name": "dog", "supercategory": "animal"}, {"id": -3, "name": "cat"}])"));
  CHECK(file.faults.empty());
  REQUIRE(file.images.size() == 2);
  CHECK(file.images[0].id == INT64_MAX);
  CHECK(file.images[0].file_name == "train/x y.jpg");
  CHECK(file.images[0].width == 640);
  CHECK(file.images[0].height == 480);
  CHECK(file.images[1].width == 0);
  CHECK(file.images[1].height == 0);
  CHECK(file.categories[0].supercategory == "animal");
  REQUIRE(file.annotations.size() == 3);
  const CocoAnnotation& first = file.annotations[0];
  CHECK(first.image == INT64_MAX);
  CHECK(first.category == -3);
  CHECK(first.x == 258.15);
  CHECK(first.width == 0.1);
  CHECK(first.height == 10);
  CHECK(first.area == 12.345678901234567);
  CHECK(first.crowd);
  CHECK(file.annotations[1].area == 12);  // that of the box
  CHECK_FALSE(file.annotations[1].crowd);
  CHECK(file.annotations[2].area == 0);  // that of the file
  CHECK(file.annotations[2].crowd);
}

TEST_CASE("coco: a byte order mark and an empty list of annotations are not faults") {
  CHECK(parse("\xEF\xBB\xBF" + coco_json("")).images.size() == 1);
}

TEST_CASE("coco: a file that is not COCO's is refused, naming the place") {
  CHECK(contains(refusal("{\"images\": [1, 2\n,\n, 3]}"), "line 3"));
  CHECK(contains(refusal(""), "is not JSON"));
  CHECK(contains(refusal(coco_json("").substr(0, 90)), "is not JSON"));
  CHECK(contains(refusal(coco_json(annotation("[1, 2, NaN, 4]"))), "is not JSON at byte"));
  CHECK(contains(refusal(coco_json(annotation("[1, 2, 1e999, 4]"))), "is not JSON"));
  CHECK(contains(refusal(coco_json(annotation(std::string(100000, '[')))), "is not JSON"));
  CHECK(contains(refusal(std::string(3000, '[') + std::string(3000, ']')), "is not JSON"));
  CHECK(contains(refusal("[]"), "\"images\""));
  CHECK(contains(refusal("3"), "\"images\""));
  CHECK(contains(refusal("{\"images\": {}}"), "\"images\""));
  CHECK(contains(refusal("{\"images\": []}"), "\"categories\""));
  CHECK(contains(refusal("{\"images\": [], \"categories\": []}"), "\"annotations\""));
  const auto with_images = [](const std::string& images) { return refusal(coco_json("", images)); };
  CHECK(contains(with_images("[3]"), "images[0] is 3"));
  CHECK(contains(with_images(R"([{"file_name": "a.jpg"}])"), "images[0] lacks \"id\""));
  CHECK(contains(with_images(R"([{"id": 1}])"), "images[0] lacks \"file_name\""));
  CHECK(contains(with_images(R"([{"id": 1, "file_name": 3}])"), "images[0] has a file_name"));
  for (const char* id : {"\"a1\"", "\"\"", "1.5", "18446744073709551615", "1e19", "true", "[1]"})
    CHECK(contains(with_images(R"([{"id": )" + std::string(id) + R"(, "file_name": "a.jpg"}])"),
                   "whole number"));
  CHECK(contains(with_images(R"([{"id": 1, "file_name": "a"}, {"id": 1.0, "file_name": "b"}])"),
                 "images[1] has the id 1 of an earlier entry"));
  CHECK(contains(refusal(coco_json("", kImages, R"([{"id": 1, "name": "a"}, {"id": 1, "name": "b"}])")),
                 "categories[1] has the id 1"));
  CHECK(contains(refusal(coco_json("", kImages, R"([{"id": 1, "name": 3}])")), "categories[0] has a name"));
  CHECK(contains(input_error([] { read_coco_file("missing.json"); }), "missing.json"));
}

TEST_CASE("coco: a faulty annotation is skipped and reported with its place") {
  const auto check_skipped = [](const std::string& bad, const std::vector<std::string>& words) {
    const CocoFile file = parse(coco_json(annotation("[1, 2, 3, 4]") + "," + bad));
    CHECK(file.annotations.size() == 1);
    check_fault(file.faults, words);
  };
  check_skipped("17", {"annotations[1] is 17", "skipped"});
  check_skipped("{}", {"annotations[1] lacks \"image_id\""});
  check_skipped(R"({"image_id": 7, "category_id": 0})", {"annotations[1] lacks \"bbox\""});
  check_skipped(R"({"image_id": 8, "category_id": 0, "bbox": [1, 2, 3, 4]})", {"the image 8"});
  check_skipped(R"({"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4]})", {"the category 1"});
  check_skipped(R"({"image_id": "a7", "category_id": 0, "bbox": [1, 2, 3, 4]})", {"image_id \"a7\""});
  for (const char* bbox : {"[1, 2, 3]", "[1, 2, 3, 4, 5]", "[]", "null", "[1, 2, 3, \"4x\"]",
                           "[1, 2, 3, null]", "[1, 2, 3, 1e300]", "[-1e9, 2, 3, 4]", "{\"x\": 1}", "7"})
    check_skipped(annotation(bbox), {"annotations[1]", "bbox"});
  check_skipped(annotation("[1, 2, 3, 4]", R"(, "area": "big")"), {"the area \"big\""});
  check_skipped(annotation("[1, 2, 3, 4]", R"(, "iscrowd": "no")"), {"the iscrowd \"no\""});
}

TEST_CASE("coco: a COCO file is told apart from other files") {
  CHECK(is_coco_file(CocoFolder(coco_json("")).file));
  const TemporaryFolder folder;
  const auto is_coco = [&](const std::string& name, const std::string& text) {
    write_text(folder / name, text);
    return is_coco_file(folder / name);
  };
  CHECK(is_coco("b.JSON", coco_json("")));
  CHECK_FALSE(is_coco("b.txt", coco_json("")));
  CHECK_FALSE(is_coco("b.json", "[]"));
  CHECK_FALSE(is_coco("b.json", "{\"images\": []}"));
  CHECK_FALSE(is_coco("b.json", "{\"images\": 3, \"annotations\": []}"));
  CHECK_FALSE(is_coco("b.json", "{"));
  CHECK_FALSE(is_coco_file(folder / "missing.json"));
  CHECK_FALSE(is_coco_file(folder.path()));
}

TEST_CASE("coco: a results file with numbers or names") {
  const auto results = parse_results(
      R"([{"image_id": 42, "category_id": 18.0, "bbox": [258.15, 41.29, 348.26, 243.78], "score": 0.236},
          {"image_id": 1, "category_id": 2, "category_name": "x", "bbox": [0, 0, -1, 0], "score": -3}])");
  REQUIRE(results.size() == 2);
  CHECK(results[0].image == 42);
  CHECK(results[0].category == 18);
  CHECK(results[0].x == 258.15);
  CHECK(results[0].height == 243.78);
  CHECK(results[0].score == 0.236);
  CHECK(results[1].category == 2);
  CHECK(parse_results("[]").empty());

  const CocoNumbers numbers{{{"beach", 5}, {"9", 6}}, {{"dog", 3}}};
  const auto named = parse_results(
      R"([{"image_id": "beach", "category_id": 1, "category_name": "dog", "bbox": [1, 2, 3, 4], "score": 1},
          {"image_id": 9, "category_name": "dog", "bbox": [1, 2, 3, 4], "score": 1}])",
      numbers);
  CHECK(named[0].image == 5);
  CHECK(named[0].category == 3);
  CHECK(named[1].image == 6);
  const auto refused = [&](const std::string& entry) {
    return input_error([&] { parse_results("[" + entry + "]", numbers); });
  };
  CHECK(contains(refused(R"({"image_id": 8, "category_name": "dog", "bbox": [1, 2, 3, 4], "score": 1})"),
                 "'8'"));
  CHECK(contains(refused(R"({"image_id": 9, "category_name": "cow", "bbox": [1, 2, 3, 4], "score": 1})"),
                 "'cow'"));
  CHECK(contains(refused(R"({"image_id": 9, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1})"),
                 "lacks \"category_name\""));
  // If categories have numbers, images may still have names.
  const auto mixed = parse_results(
      R"([{"image_id": "beach", "category_id": 9, "bbox": [1, 2, 3, 4], "score": 1}])", {{{"beach", 5}}, {}});
  CHECK(mixed[0].image == 5);
  CHECK(mixed[0].category == 9);
}

TEST_CASE("coco: a faulty results file is refused, naming the entry") {
  const auto refused = [](const std::string& json) {
    const std::string sentence = input_error([&] { parse_results(json); });
    CHECK(contains(sentence, "found.json"));
    return sentence;
  };
  CHECK(contains(refused(coco_json("")), "holds no list of detections"));
  CHECK(contains(refused("[3]"), "[0] is 3"));
  const std::string good = R"({"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5})";
  CHECK(contains(refused("[" + good + R"(, {"image_id": 1, "category_id": 2, "score": 0.5}])"), "[1] lacks"));
  CHECK(contains(refused(R"([{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4]}])"), "\"score\""));
  CHECK(contains(refused(R"([{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "score": "high"}])"),
                 "the score \"high\""));
  CHECK(contains(refused(R"([{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3], "score": 1}])"), "bbox"));
  CHECK(contains(refused(R"([{"image_id": "beach", "category_id": 2, "bbox": [1, 2, 3, 4], "score": 1}])"),
                 "'beach'"));
  CHECK(contains(refused("[" + good + "," + good), "is not JSON"));
  CHECK(contains(refused(R"([{"score": NaN}])"), "is not JSON"));
}

TEST_CASE("coco: classes are in the order of the category ids, samples are named after the images") {
  CocoFolder coco(coco_json(
      R"({"image_id": 300, "category_id": 90, "bbox": [1.5, 2.25, 10, 20], "area": 55.5, "iscrowd": 1},
         {"image_id": 7, "category_id": 0, "bbox": [0, 0, 40, 30]})",
      R"([{"id": 300, "file_name": "sub\\a.jpg", "width": 40, "height": 30}, {"id": 7, "file_name": "a.jpg"},
          {"id": 8, "file_name": "elsewhere/b.png"}])",
      R"([{"id": 90, "name": "dog"}, {"id": 3, "name": "cow"}, {"id": 0, "name": "cat"}])"));
  coco.image("sub/a.jpg");
  coco.image("b.png");  // the last part of elsewhere/b.png
  const Dataset data = coco.read();
  check_fault(data.faults, {"1 image was found by its name alone", "'elsewhere/b.png'"});
  CHECK(data.classes == std::vector<std::string>{"cat", "cow", "dog"});
  CHECK(data.category_ids == std::vector<int64_t>{0, 3, 90});
  REQUIRE(data.samples.size() == 3);
  CHECK(data.samples[0].id == "a");
  CHECK(data.samples[0].coco_id == 300);
  CHECK(data.samples[0].image == coco.folder / "sub/a.jpg");
  REQUIRE(data.samples[0].objects.size() == 1);
  CHECK(data.samples[0].objects[0] == Object{{1.5f, 2.25f, 11.5f, 22.25f}, 3, false, true, 55.5});
  CHECK(is_ignored(data.samples[0].objects[0]));
  CHECK(data.samples[1].id == "a_7");
  CHECK(data.samples[1].width == 40);
  CHECK(data.samples[1].height == 30);
  CHECK(data.samples[1].objects[0] == Object{{0, 0, 40, 30}, 1, false, false, 1200});
  CHECK(data.samples[2].id == "b");
  CHECK(data.samples[2].objects.empty());
}

TEST_CASE("coco: ids stay unique even if a name looks like an id that was made unique") {
  const CocoFolder coco(coco_json("", R"([{"id": 1, "file_name": "x_2.jpg"}, {"id": 3, "file_name": "x.jpg"},
                                          {"id": 2, "file_name": "x.png"}, {"id": 4, "file_name": ""}])"));
  const Dataset data = make_coco_dataset(read_coco_file(coco.file));
  CHECK(data.samples[0].id == "x_2");
  CHECK(data.samples[1].id == "x");
  CHECK(data.samples[2].id == "x_2_");
  CHECK(data.samples[3].id == "_4");
}

TEST_CASE("coco: a heading is not a class, and two categories with the same name are one class") {
  const std::string boxes = R"({"image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4]})";
  CocoFolder heading(coco_json(boxes, kImages, R"([{"id": 0, "name": "animals", "supercategory": "none"},
      {"id": 1, "name": "person", "supercategory": "person"}, {"id": 2, "name": "cat", "supercategory": "animals"}])"));
  Dataset data = heading.read();
  CHECK(data.faults.empty());
  CHECK(data.classes == std::vector<std::string>{"person", "cat"});  // its own supercategory: still a class
  CHECK(data.category_ids == std::vector<int64_t>{1, 2});
  CHECK(data.samples[0].objects[0].label == 2);

  CocoFolder used(
      coco_json(boxes + R"(, {"image_id": 7, "category_id": 0, "bbox": [1, 2, 3, 4]})", kImages,
                R"([{"id": 0, "name": "animals"}, {"id": 2, "name": "cat", "supercategory": "animals"}])"));
  CHECK(used.read().classes == std::vector<std::string>{"animals", "cat"});

  CocoFolder twice(coco_json(boxes, kImages, R"([{"id": 2, "name": "cat"}, {"id": 1, "name": "cat"}])"));
  data = twice.read();
  check_fault(data.faults, {"'cat'", "1 and 2", "one class"});
  CHECK(data.classes == std::vector<std::string>{"cat"});
  CHECK(data.category_ids == std::vector<int64_t>{2});
  CHECK(data.samples[0].objects[0].label == 1);

  CHECK(contains(input_error([] { CocoFolder(coco_json("", kImages, "[]")).read(); }), "no categories"));
}

TEST_CASE("coco: the given classes decide the labels; other names are reported once") {
  const CocoFolder coco(coco_json(
      R"({"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4]}, {"image_id": 7, "category_id": 0, "bbox": [1, 2, 3, 4]},
         {"image_id": 7, "category_id": 0, "bbox": [5, 6, 7, 8]})",
      kImages, R"([{"id": 0, "name": "cow"}, {"id": 3, "name": "cat"}, {"id": 5, "name": "ox"}])"));
  const Dataset data = coco.read({"dog", "cat"});
  check_fault(data.faults, {"2 objects", "'cow'", "dog, cat"});
  CHECK(data.classes == std::vector<std::string>{"dog", "cat"});
  CHECK(data.category_ids == std::vector<int64_t>{1, 3});  // the smallest free number, and the file's
  REQUIRE(data.samples[0].objects.size() == 1);
  CHECK(data.samples[0].objects[0].label == 2);
  CHECK(contains(input_error([&] { coco.read({"cat", "cat"}); }), "twice"));
}

TEST_CASE("coco: a faulty box is skipped or clipped, and reported") {
  const auto boxes = [](const std::string& bbox, const std::vector<std::string>& words) {
    const Dataset data = CocoFolder(coco_json(annotation("[1, 2, 3, 4]") + "," + annotation(bbox))).read();
    check_fault(data.faults, words);
    std::vector<Object> objects = data.samples.at(0).objects;
    objects.erase(objects.begin());
    return objects;
  };
  CHECK(
      boxes("[3, 4, 0, 5]", {"a.jpg has a box of zero area", "object 2 (cat): 3 4 0 5", "skipped"}).empty());
  CHECK(boxes("[3, 4, 5, 0]", {"zero area"}).empty());
  CHECK(boxes("[3, 4, 1e-30, 5]", {"zero area"}).empty());
  CHECK(boxes("[13, 4, -5, 5]", {"negative width or height", "skipped"}).empty());
  CHECK(boxes("[40, 4, 5, 5]", {"wholly outside the 40 x 30 image", "skipped"}).empty());
  CHECK(boxes("[-5, 4, 5, 5]", {"wholly outside"}).empty());
  const auto clipped =
      boxes("[-5, 4, 50, 15.5]", {"partly outside", "object 2 (cat): -5 4 50 15.5", "clipped"});
  REQUIRE(clipped.size() == 1);
  CHECK(clipped[0].box == Box{0, 4, 40, 19.5f});
}

TEST_CASE("coco: a faulty image is skipped and reported, and the size is that of the image file") {
  const auto of_image = [](const std::string& second) {
    return CocoFolder(coco_json("", R"([{"id": 1, "file_name": "a.jpg"}, )" + second + "]"));
  };
  const std::string missing = R"({"id": 2, "file_name": "no/where.jpg", "width": 3, "height": 3})";
  Dataset data = of_image(missing).read();
  CHECK(data.samples.size() == 1);
  check_fault(data.faults, {"no/where.jpg does not exist in", "skipped"});

  data = of_image(R"({"id": 2, "file_name": ")" + std::string(5000, 'x') + R"("})").read();
  CHECK(data.samples.size() == 1);
  CHECK(data.faults.size() == 1);

  CocoFolder broken = of_image(R"({"id": 2, "file_name": "broken.jpg"})");
  write_text(broken.folder / "broken.jpg", "no image");
  data = broken.read();
  CHECK(data.samples.size() == 1);
  check_fault(data.faults, {"broken.jpg"});

  CocoFolder other(coco_json(annotation("[0, 0, 80, 10]"),
                             R"([{"id": 7, "file_name": "a.jpg", "width": 80, "height": 60}])"));
  data = other.read();
  REQUIRE(data.faults.size() == 2);
  CHECK(contains(data.faults[0].what, "a.jpg is given the size 80 x 60, but the image has 40 x 30"));
  CHECK(data.samples[0].width == 40);
  CHECK(data.samples[0].objects[0].box == Box{0, 0, 40, 10});

  const CocoFolder none(coco_json("", "[" + missing + "]"));
  CHECK(contains(input_error([&] { none.read(); }), "none of its 1 images can be used"));
}

TEST_CASE("coco: a hundred real images with sparse categories") {
  const std::filesystem::path folder = real_data("coco_val_100");
  if (folder.empty()) return;
  const Dataset data = read_coco(folder / "instances.json", folder / "images");
  CHECK(data.faults.empty());
  CHECK(data.samples.size() == 100);
  CHECK(count_boxes(data) == 1087);
  CHECK(data.classes.size() == 80);
  CHECK(data.classes.front() == "person");
  CHECK(data.category_ids.front() == 1);
  CHECK(data.classes.back() == "toothbrush");
  CHECK(data.category_ids.back() == 90);
  int crowds = 0;
  for (const Sample& sample : data.samples)
    for (const Object& object : sample.objects) crowds += object.crowd;
  CHECK(crowds == 17);
}
