// `rcnn check` on folders with and without faults.
#include <doctest/doctest.h>

#include <sstream>

#include "data/image.h"
#include "tests/program.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

/// Checks that no line of the output is wider than a terminal, except the lines of faults, which contain
/// paths.
void check_width(const std::string& out) {
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    if (contains(line, "/JPEGImages/") || contains(line, "/Annotations/")) continue;
    size_t columns = 0;
    for (const char c : line) columns += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    CAPTURE(line);
    CHECK(columns <= 100);
  }
}

}  // namespace

TEST_CASE("check: reports every split, its faults, and images that are in two splits") {
  const auto program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  write_tiny_scenes(folder.path(), 30);
  write_tiny_scenes(folder.path(), 3, "test");
  const Finished whole = run_program(program, {"check", folder.path().string()});
  CAPTURE(whole.out);
  CHECK(whole.status == 0);
  CHECK(whole.err.empty());
  CHECK(contains(whole.out, "\ntrain: 30 images; 96 x 96 pixels\n"));
  CHECK(contains(whole.out, "\ntest: 3 images; 96 x 96 pixels\n"));
  CHECK(contains(whole.out, "0 faults in the annotations and images"));
  CHECK_FALSE(contains(whole.out, "overlap no anchor by an IoU of .5"));  // the anchors suit the boxes
  check_width(whole.out);

  // Faults in annotations and images that are in both train and test are reported, but the exit status stays
  // 0.
  write_text(folder / "Annotations/train_00001.xml",
             "<annotation><size><width>96</width><height>96</height></size><object><name>disc</name><bndbox>"
             "<xmin>50</xmin><ymin>5</ymin><xmax>20</xmax><ymax>30</ymax></bndbox></object></annotation>");
  std::filesystem::copy_file(folder / "JPEGImages/train_00002.png", folder / "JPEGImages/test_00000.png",
                             std::filesystem::copy_options::overwrite_existing);
  const Finished faulty = run_program(program, {"check", folder.path().string()});
  CAPTURE(faulty.out);
  CHECK(faulty.status == 0);
  CHECK(contains(faulty.out, "1 fault in the annotations and images:"));
  CHECK(contains(faulty.out, "train_00001.xml has a reversed box, object 1 (disc): 50 5 20 30"));
  CHECK(contains(faulty.out, "1 image of test is also in train"));
}

TEST_CASE("check: two spellings of a class are pointed out, by train as well") {
  const ProgramTrial trial;
  if (!trial) return;
  const auto write = [&](const std::string& image, const std::string& name) {
    write_bytes(trial.folder / "data" / (image + ".jpg"), encode_jpeg(smooth_image(60, 60)));
    write_text(trial.folder / "data" / (image + ".xml"),
               "<annotation><size><width>60</width><height>60</height></size><object><name>" + name +
                   "</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>50</xmax><ymax>50</ymax></bndbox>"
                   "</object></annotation>");
  };
  for (const char* image : {"a", "b", "c"}) write(image, "cat");
  write("d", "Cat");
  const std::string data = trial.path("data");
  // The lines as one: they are wrapped.
  const auto output = [&](const std::vector<std::string>& words) {
    const Finished result = trial.run(words);
    CHECK(result.status == 0);
    std::istringstream in(result.out);
    std::string text;
    for (std::string word; in >> word;) text += word + " ";
    return text;
  };
  const std::string advice = "each is learned as a class of its own: Cat (1 box) and cat (3 boxes). If they";
  CHECK(contains(output({"check", data}), advice));
  CHECK(contains(output({"train", "--data", data, "--out", trial.path("out"), "--val", "none", "--dry-run",
                         "--short-side", "64"}),
                 advice));
  write("d", "cat");
  CHECK_FALSE(contains(output({"check", data}), "differ only in"));
}

TEST_CASE("check: a data set with a training split alone is told what to do, by train as well") {
  const ProgramTrial trial;
  if (!trial) return;
  REQUIRE(trial.run({"synth", "--out", trial.path("data"), "--count", "6"}).status == 0);
  const auto says = [&](const std::vector<std::string>& words) {
    const Finished result = trial.run(words);
    CHECK(result.status == 0);
    std::istringstream in(result.out);
    std::string text;
    for (std::string word; in >> word;) text += word + " ";
    return contains(text,
                    "No image is set aside to evaluate a model on: there is neither a validation nor a test "
                    "split, so nothing tells how good the model is. Divide the images with `rcnn data "
                    "split`, or name a split with `rcnn train --val`.");
  };
  const std::vector<std::string> check = {"check", trial.path("data")},
                                 train = {"train",           "--data",    trial.path("data"), "--out",
                                          trial.path("out"), "--dry-run", "--short-side",     "64"};
  CHECK(says(check));
  CHECK(says(train));
  REQUIRE(trial.run({"synth", "--out", trial.path("data"), "--count", "6", "--split", "val"}).status == 0);
  CHECK(!says(check));
  CHECK(!says(train));
}

TEST_CASE("check: keeps the settings that are given") {
  const auto program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  write_tiny_scenes(folder.path(), 30);
  const std::string data = folder.path().string();
  const Finished given =
      run_program(program, {"check", data, "--short-side", "96", "--anchor-sizes", "4,6;16,20;32,40"});
  CAPTURE(given.out);
  CHECK(given.status == 0);
  CHECK(contains(given.out, "short side of 96 and"));
  CHECK(contains(given.out, "anchor sizes 4,6; 16,20; 32,40"));
  const Finished large = run_program(program, {"check", data, "--anchor-sizes", "400,500;600,700;800,900"});
  CAPTURE(large.out);
  CHECK(large.status == 0);
  CHECK(contains(large.out, "100.0 % of the boxes overlap no anchor by an IoU of .5"));
  CHECK(contains(large.out, "--anchor-sizes '"));
}

TEST_CASE("check: exits with 2 if the data or a setting cannot be used") {
  const auto program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  const auto refusal = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "check");
    const Finished result = run_program(program, words);
    CAPTURE(result.out);
    CHECK(result.status == 2);
    CHECK(result.err.starts_with("rcnn: "));
    return result.err;
  };
  CHECK(contains(refusal({(folder / "missing").string()}), "missing"));
  CHECK(contains(refusal({folder.path().string()}), folder.path().string()));  // empty
  CHECK(contains(refusal({}), "data is required"));
  write_tiny_scenes(folder.path(), 2);
  CHECK(contains(refusal({folder.path().string(), "--anchor-sizes", "8;16"}), "for 3 levels, found 2"));
  CHECK(contains(refusal({folder.path().string(), "--model", "none"}), "unknown model"));
}

TEST_CASE("check: decodes every image, unless --no-deep is given") {
  const auto program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  write_tiny_scenes(folder.path(), 4);
  const std::filesystem::path image = folder / "JPEGImages/train_00002.png";
  std::filesystem::resize_file(image, std::filesystem::file_size(image) / 2);
  for (const bool deep : {true, false}) {
    std::vector<std::string> words = {"check", folder.path().string()};
    if (!deep) words.push_back("--no-deep");
    const Finished result = run_program(program, words);
    CAPTURE(result.out);
    CHECK(result.status == 0);
    CHECK(contains(result.out, "train_00002.png is truncated") == deep);
    CHECK(contains(result.out, deep ? "1 fault in the annotations and images:" : "0 faults"));
  }
}

TEST_CASE("check: a split that cannot be read does not hide the others, and the exit status is 2") {
  const auto program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  const std::string json =
      R"({"categories": [{"id": 3, "name": "cat"}], "images": [{"id": 1, "file_name": "a.png"}],)"
      R"( "annotations": [{"image_id": 1, "category_id": 3, "bbox": [2, 3, 8, 9]}]})";
  for (const std::string split : {"train", "valid"}) {
    std::filesystem::create_directories(folder / split);
    write_png(folder / (split + "/a.png"), random_image(40, 30));
    write_text(folder / (split + "/_annotations.coco.json"), json);
  }
  write_text(folder / "valid/_annotations.coco.json", json.substr(0, 100));
  const Finished result = run_program(program, {"check", folder.path().string()});
  CAPTURE(result.out);
  CHECK(result.status == 2);
  CHECK(contains(result.out, "\ntrain: 1 image; 40 x 30 pixels\n"));
  CHECK(contains(result.out, "val: cannot be used: "));
  CHECK(contains(result.err, "valid/_annotations.coco.json is not JSON: it is cut off at byte 101, line 1."));
}

TEST_CASE("check: names with terminal escapes are shown escaped") {
  const auto program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  write_tiny_scenes(folder.path(), 3);
  write_text(folder / "JPEGImages/\x1B[2J\n\xE9.png", "");
  write_text(folder / "Annotations/\x1B[2J\n\xE9.xml", "<annotation/>");
  std::filesystem::remove_all(folder / "ImageSets");
  const Finished result = run_program(program, {"check", folder.path().string()});
  CAPTURE(result.out);
  CHECK(result.status == 0);
  CHECK(contains(result.out, "\\x1B[2J\\x0A\\xE9.png is empty"));
  CHECK_FALSE(contains(result.out, "\x1B"));
}
