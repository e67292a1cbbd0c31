// Advice on labels in the wrong convention, repeated images and learning rates: each problem is found in data
// that has it, and nothing is reported for good data.
#include "eval/advice.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

#include "core/rng.h"
#include "data/voc.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

/// A VOC folder with 12 images of 200 x 100 pixels and two boxes each. `corners` gives the four numbers that
/// are written for a box (x, y, w, h in pixels).
template <class Corners>
Dataset read_written(const fs::path& folder, const Corners& corners) {
  RandomSequence random(1, Purpose::test, 5);
  std::string list;
  const std::vector<uint8_t> jpeg = stb_jpeg(smooth_image(200, 100));
  for (int i = 0; i < 12; ++i) {
    const std::string id = "photo " + std::to_string(i);
    list += id + "\r\n";
    write_bytes(folder / "JPEGImages" / (id + ".jpg"), jpeg);
    std::string xml = "<annotation><size><width>200</width><height>100</height></size>";
    for (int k = 0; k < 2; ++k) {
      const auto w = static_cast<int>(20 + random.below(40)), h = static_cast<int>(20 + random.below(30));
      const auto x = static_cast<int>(5 + random.below(static_cast<uint32_t>(190 - w)));
      const auto y = static_cast<int>(5 + random.below(static_cast<uint32_t>(90 - h)));
      const auto [a, b, c, d] = corners(x, y, w, h);
      xml += fmt::format(
          "<object><name>cat</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"
          "</bndbox></object>",
          a, b, c, d);
    }
    write_text(folder / "Annotations" / (id + ".xml"), xml + "</annotation>");
  }
  write_text(folder / "ImageSets" / "Main" / "train.txt", list);
  return read_voc(folder, "train", {"cat"});
}

using Four = std::array<double, 4>;

}  // namespace

TEST_CASE("advice: labels in another convention") {
  const TemporaryFolder folder;
  CHECK(label_advice(read_written(folder / "right", [](int x, int y, int w, int h) {
          return Four{x + 1.0, y + 1.0, double(x + w), double(y + h)};
        })).empty());
  const Sentences xywh = label_advice(read_written(folder / "xywh", [](int x, int y, int w, int h) {
    return Four{double(x), double(y), double(w), double(h)};
  }));
  REQUIRE(xywh.size() == 1);
  CHECK(contains(xywh[0], "of 24 boxes are reversed, in "));
  CHECK(contains(xywh[0], "photo "));
  CHECK(contains(xywh[0], "x, y, width, height, where the corners"));
  const Sentences larger = label_advice(read_written(folder / "larger", [](int x, int y, int w, int h) {
    return Four{2.0 * x, 2.0 * y, 2.0 * (x + w), 2.0 * (y + h)};
  }));
  REQUIRE(larger.size() == 1);
  CHECK(contains(larger[0], "labels of a larger version of the images"));
  const auto share = [](int x, int y, int w, int h) {
    return Four{x / 200.0, y / 100.0, (x + w) / 200.0, (y + h) / 100.0};
  };
  bool is_first = true;
  const auto share_but_first = [&](int x, int y, int w, int h) {
    return std::exchange(is_first, false) ? Four{x + 1.0, y + 1.0, double(x + w), double(y + h)}
                                          : share(x, y, w, h);
  };
  const Sentences shares = label_advice(read_written(folder / "shares", share_but_first));
  REQUIRE_FALSE(shares.empty());
  CHECK(contains(shares.back(), "23 of 24 boxes lie within the first pixel"));
  // If all are shares, the data is refused.
  CHECK(contains(input_error([&] { read_written(folder / "all shares", share); }),
                 "the boxes look normalised: the coordinates of all 24 lie between 0 and 1"));
}

TEST_CASE("advice: corners in a COCO file") {
  // The boxes as the reader leaves them: corners become x1 + x2 and y1 + y2, clipped, with a fault for each
  // clipped box.
  const auto read_as = [](bool corners) {
    RandomSequence random(1, Purpose::test, 6);
    Dataset dataset;
    dataset.classes = {"cat"};
    dataset.category_ids = {17};
    for (int i = 0; i < 40; ++i) {
      Sample sample;
      sample.image = fmt::format("{}.jpg", i);
      sample.width = sample.height = 100;
      const float x = random.uniform(0, 70), y = random.uniform(0, 70);
      const float w = random.uniform(10, 30), h = random.uniform(10, 30);
      Box box{x, y, x + w, y + h};
      if (corners) box = {x, y, x + x + w, y + y + h};
      if (box.x2 > 100 || box.y2 > 100)
        dataset.faults.push_back({"labels.json", "labels.json has a box partly outside the 100 x 100 image.",
                                  FaultKind::box_partly_outside});
      sample.objects = {{{x, y, std::min(box.x2, 100.0f), std::min(box.y2, 100.0f)}, 1}};
      dataset.samples.push_back(sample);
    }
    return label_advice(dataset);
  };
  CHECK(read_as(false).empty());
  const Sentences corners = read_as(true);
  REQUIRE(corners.size() == 1);
  CHECK(contains(corners[0], "of 40 boxes extend beyond their image, mainly at the right or lower edge"));
  CHECK(contains(corners[0], "given as corners x1, y1, x2, y2"));
}

TEST_CASE("advice: the name of a class or a file is not taken for a fault") {
  // Each box has no area, so that the reader's sentence about it names the class and the file.
  const TemporaryFolder folder;
  std::string list;
  for (int i = 0; i < 6; ++i) {
    const std::string id = fmt::format("wholly outside {}", i);
    list += id + "\n";
    write_bytes(folder / "JPEGImages" / (id + ".jpg"), stb_jpeg(smooth_image(200, 100)));
    write_text(folder / "Annotations" / (id + ".xml"),
               "<annotation><size><width>200</width><height>100</height></size>"
               "<object><name>reversed box</name><bndbox><xmin>20</xmin><ymin>20</ymin><xmax>20</xmax>"
               "<ymax>40</ymax></bndbox></object>"
               "<object><name>reversed box</name><bndbox><xmin>150</xmin><ymin>60</ymin><xmax>200</xmax>"
               "<ymax>100</ymax></bndbox></object></annotation>");
  }
  write_text(folder / "ImageSets" / "Main" / "train.txt", list);
  const Dataset dataset = read_voc(folder.path(), "train");
  REQUIRE(dataset.faults.size() == 6);
  CHECK(contains(dataset.faults[0].what, "zero area"));
  CHECK(contains(dataset.faults[0].what, "reversed box"));
  CHECK(contains(dataset.faults[0].what, "wholly outside"));
  CHECK(label_advice(dataset).empty());
}

TEST_CASE("advice: boxes at the border of real photographs are not reported") {
  for (const char* name : {"bccd", "raccoon"}) {
    const auto folder = real_data(name);
    if (folder.empty()) return;
    CHECK(label_advice(read_voc(folder, "train")).empty());
  }
}

TEST_CASE("advice: a repeated box in an image is reported") {
  Dataset dataset;
  dataset.classes = {"cat", "dog"};
  Sample sample;
  sample.image = "twice.jpg";
  sample.width = sample.height = 100;
  sample.objects = {{{1, 1, 9, 9}, 1}, {{1, 1, 9, 8}, 1}, {{1, 1, 9, 9}, 2}};
  dataset.samples = {sample};
  CHECK(label_advice(dataset).empty());  // another box, another class
  dataset.samples[0].objects.push_back({{1, 1, 9, 9}, 1});
  REQUIRE(label_advice(dataset).size() == 1);
  CHECK(contains(label_advice(dataset)[0], "1 box is an exact copy"));
  CHECK(contains(label_advice(dataset)[0], "in twice.jpg"));
}

TEST_CASE("advice: absent, rare and outnumbered classes are named") {
  const auto classes = [](std::vector<size_t> boxes, SplitUse use = SplitUse::training) {
    std::vector<ClassCount> counts;
    for (size_t i = 0; i < boxes.size(); ++i)
      counts.push_back({std::string(1, static_cast<char>('a' + i)), boxes[i], boxes[i]});
    return class_advice(counts, use);
  };
  CHECK(classes({20, 100, 900}).empty());
  REQUIRE(classes({0, 20, 0}).size() == 1);
  CHECK(contains(classes({0, 20, 0})[0], "have no objects and cannot be learned: a, c."));
  REQUIRE(classes({19, 20}).size() == 1);
  CHECK(contains(classes({19, 20})[0], "fewer than 20 boxes: a (19)."));
  REQUIRE(classes({20, 1000, 21}).size() == 1);
  CHECK(contains(classes({20, 1000, 21})[0],
                 "imbalanced: b has 1000 boxes, at least 50 times as many as a (20)."));
  CHECK(contains(classes({0, 0}).at(0), "contains no objects"));
  CHECK(contains(classes({}).at(0), "contains no objects"));
  CHECK(contains(classes({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 50}).at(0), "g, h and 2 more."));
}

TEST_CASE("advice: of a split to evaluate on nothing is said of learning") {
  const auto advice = [](std::vector<size_t> boxes) {
    std::vector<ClassCount> counts;
    for (size_t i = 0; i < boxes.size(); ++i)
      counts.push_back({std::string(1, static_cast<char>('a' + i)), boxes[i], boxes[i]});
    const Sentences sentences = class_advice(counts, SplitUse::evaluation);
    for (const std::string& sentence : sentences) CHECK(!contains(sentence, "learn"));
    return sentences;
  };
  REQUIRE(advice({19, 20}).size() == 1);
  CHECK(advice({19, 20})[0] ==
        "These classes have fewer than 20 boxes: a (19). Their average precision depends on a "
        "few objects; move more images of them into this split.");
  CHECK(contains(advice({0, 20})[0], "no objects in this split, so their average precision is unknown: a."));
  CHECK(advice({20, 1000, 21}).empty());
  CHECK(advice({0, 0}).at(0) == "The split contains no objects, so a model cannot be evaluated on it.");
  CHECK(contains(class_advice({{"a", 19, 1}, {"b", 20, 1}})[0],
                 "hardly enough to learn from; label more of them."));
}

TEST_CASE("advice: classes whose names differ in capitals or blanks are named with their counts") {
  const auto advice = [](const std::vector<std::pair<std::string, size_t>>& classes) {
    std::vector<ClassCount> counts;
    for (const auto& [name, boxes] : classes) counts.push_back({name, boxes, boxes});
    return class_advice(counts);
  };
  CHECK(advice({{"cat", 50}, {"cats", 50}, {"dog", 50}}).empty());
  const Sentences one = advice({{"Bär", 50}, {"dog", 40}, {"bär", 30}});
  REQUIRE(one.size() == 1);
  CHECK(contains(one[0],
                 "differ only in capitals, spaces, - or _, and each is learned as a class of its own: "
                 "Bär (50 boxes) and bär (30 boxes). If they are one class, give it one name"));
  const Sentences two =
      advice({{"traffic light", 50}, {"cat", 40}, {"Traffic-Light", 30}, {"traffic_light", 25}, {" cat", 1}});
  REQUIRE(two.size() == 2);
  CHECK(contains(two[0], "fewer than 20 boxes:  cat (1)."));
  CHECK(contains(two[1],
                 ": traffic light (50 boxes), Traffic-Light (30 boxes) and traffic_light (25 boxes); "
                 "cat (40 boxes) and  cat (1 box)."));
  std::vector<std::pair<std::string, size_t>> many;
  for (const char letter : {'a', 'b', 'c', 'd', 'e', 'f'})
    for (const char c : {letter, static_cast<char>(letter - 32)}) many.emplace_back(std::string(1, c), 20);
  CHECK(contains(advice(many).at(0), "d (20 boxes) and D (20 boxes); and 2 more groups."));
}

TEST_CASE("advice: repeated images are reported within a split and across splits") {
  const TemporaryFolder folder;
  const auto dataset = [&](const std::vector<std::string>& names) {
    Dataset made;
    for (const std::string& name : names) {
      Sample sample;
      sample.id = name;
      sample.image = folder / name;
      made.samples.push_back(sample);
    }
    return made;
  };
  write_text(folder / "a", "one");
  write_text(folder / "b", "two");  // the same size as a
  write_text(folder / "c", "one");
  write_text(folder / "d", "longer");
  const Dataset train = dataset({"a", "b", "d"}), twice = dataset({"a", "c", "b"}),
                test = dataset({"c", "missing"}), same = dataset({"d"});
  const auto advice = [](std::vector<std::pair<std::string, const Dataset*>> splits) {
    return repeated_image_advice(splits);
  };
  CHECK(advice({{"train", &train}}).empty());
  CHECK(advice({}).empty());
  const Sentences within = advice({{"train", &twice}});
  REQUIRE(within.size() == 1);
  CHECK(contains(within[0], "1 image of train is the same as another one of that split"));
  CHECK(contains(within[0], (folder / "a").string() + " and " + (folder / "c").string()));
  const Sentences across = advice({{"train", &train}, {"test", &test}});
  REQUIRE(across.size() == 1);
  CHECK(contains(across[0], "1 image of test is also in train"));
  const Sentences listed = advice({{"train", &train}, {"val", &same}});  // one file in two lists
  REQUIRE(listed.size() == 1);
  CHECK(contains(listed[0], "as " + (folder / "d").string() + ": "));
  // Files of different size are different, even if their first 64 KiB are the same.
  const std::string head(1 << 16, 'x');
  write_text(folder / "e", head + "1");
  write_text(folder / "f", head + "22");
  const Dataset sizes = dataset({"e", "f"});
  CHECK(advice({{"train", &sizes}}).empty());

  if (const auto raccoon = real_data("raccoon"); !raccoon.empty()) {
    const Dataset photographs = read_voc(raccoon, "train");
    REQUIRE(advice({{"train", &photographs}}).size() == 1);
    CHECK(contains(advice({{"train", &photographs}})[0],
                   "4 images of train are the same as another one of that split"));
  }
}

TEST_CASE("advice: learning rates that are too high are reported") {
  // Rates that are known to train are accepted: torchvision's, ours, and ours with a batch of 2.
  CHECK(learning_rate_advice(0.02, 16, false).empty());
  CHECK(learning_rate_advice(static_cast<double>(0.02f), 4, false).empty());
  CHECK(learning_rate_advice(static_cast<double>(0.02f), 2, false).empty());
  CHECK(learning_rate_advice(static_cast<double>(0.04f), 4, true).empty());
  CHECK(learning_rate_advice(static_cast<double>(0.04f), 1, true).empty());
  CHECK(learning_rate_advice(0, 1, false).empty());
  const std::string large = learning_rate_advice(0.5, 4, false);
  CHECK(contains(large, "0.5 is high for 4 images per step"));
  CHECK(contains(large, "Try --lr 0.02."));
  CHECK(contains(learning_rate_advice(0.02, 1, false), "1 image per step"));
  CHECK(contains(learning_rate_advice(0.02, 1, false), "Try --lr 0.005."));
  CHECK_FALSE(learning_rate_advice(0.2, 4, true).empty());
  CHECK_FALSE(learning_rate_advice(2, 4096, true).empty());  // for any batch size
}
