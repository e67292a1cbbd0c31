// Summaries of datasets compared with figures worked out by hand, and settings that are suited to the data.
#include "eval/data_summary.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "core/rng.h"
#include "data/voc.h"
#include "eval/anchor_cover.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

const std::vector<int64_t> kStrides = {4, 8, 16};

Sample make_sample(const std::string& id, int width, int height, std::vector<Object> objects) {
  Sample sample;
  sample.id = id;
  sample.image = id + ".jpg";
  sample.width = width;
  sample.height = height;
  sample.objects = std::move(objects);
  return sample;
}

/// Square boxes with these sides, ten per image of 320 x 240 pixels, a size that nano-fpn does not change.
Dataset squares(const std::vector<float>& sides) {
  Dataset dataset;
  dataset.classes = {"square"};
  for (size_t i = 0; i < sides.size(); ++i) {
    if (i % 10 == 0) dataset.samples.push_back(make_sample(std::to_string(i), 320, 240, {}));
    const float at = 1.0f + static_cast<float>(i % 10);
    dataset.samples.back().objects.push_back({{at, at, at + sides[i], at + sides[i]}, 1});
  }
  return dataset;
}

std::vector<float> flat(const Levels& levels) {
  std::vector<float> all;
  for (const auto& level : levels) all.insert(all.end(), level.begin(), level.end());
  return all;
}

bool has_advice(const DataSummary& summary, std::string_view part) {
  return std::any_of(summary.advice.begin(), summary.advice.end(),
                     [&](const std::string& sentence) { return contains(sentence, part); });
}

/// The number of characters in the longest line. All characters in these tests take one column.
size_t widest(const std::string& text) {
  size_t widest = 0, columns = 0;
  for (const char c : text) {
    if (c == '\n')
      columns = 0;
    else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80)
      widest = std::max(widest, ++columns);
  }
  return widest;
}

}  // namespace

TEST_CASE("data summary: counts worked out by hand") {
  Dataset dataset;
  dataset.classes = {"cat", "dog", "owl"};
  dataset.samples = {
      make_sample("a", 320, 240, {{{0, 0, 16, 16}, 1}, {{10, 0, 110, 100}, 1}, {{0, 0, 9, 9}, 2}}),
      make_sample("b", 640, 480, {{{0, 0, 64, 64}, 2}, {{0, 0, 50, 50}, 2, true}}),
      make_sample("c", 160, 120, {}), make_sample("d", 320, 300, {{{0, 0, 50, 50}, 1, false, true}})};
  const DataSummary summary = summarise(dataset, "train", model_config("nano-fpn"), kStrides);
  CHECK(summary.split == "train");
  CHECK(summary.images == 4);
  CHECK(summary.without_objects == 1);
  CHECK(summary.boxes == 4);
  CHECK(summary.ignored == 2);
  REQUIRE(summary.classes.size() == 3);
  CHECK(summary.classes[0].name == "cat");
  CHECK(summary.classes[0].boxes == 2);
  CHECK(summary.classes[0].images == 1);
  CHECK(summary.classes[1].boxes == 2);
  CHECK(summary.classes[1].images == 2);
  CHECK(summary.classes[2].boxes == 0);
  CHECK(summary.min_width == 160);
  CHECK(summary.median_width == 320);
  CHECK(summary.max_height == 480);
  CHECK(summary.sizes == std::vector<float>{9, 16, 32, 100});  // image b is resized to half its size
  REQUIRE(summary.anchor_overlaps.size() == 4);
  // Anchors of 16 pixels lie around (0, 0), (4, 4), (8, 8), ... The last is exactly the box of 16 x 16. The
  // box of 9 x 9 around (4.5, 4.5) lies inside the anchor (-4, -4, 12, 12).
  CHECK(summary.anchor_overlaps.back() == 1);
  CHECK(summary.anchor_overlaps.front() == doctest::Approx(81.0 / 256));
  CHECK(summary.poorly_covered == 0.25);
  CHECK(has_advice(summary, "have no objects and cannot be learned: owl"));
  CHECK(has_advice(summary, "fewer than 20 boxes: cat (2), dog (2)"));
  CHECK(has_advice(summary, "25.0 % of the boxes overlap no anchor by an IoU of .5"));

  const std::string text = summary_text(summary);
  CHECK(contains(text, "train: 4 images, 1 without objects; 160 x 120 to 640 x 480 pixels"));
  CHECK(contains(text, "4 boxes in total, plus 2 ignored (difficult or crowd)"));
  CHECK(contains(text, "below .5 for 25.0 %"));
  CHECK(widest(text) <= 100);
}

TEST_CASE("data summary: an empty dataset") {
  Dataset dataset;
  dataset.classes = {"cat"};
  ModelConfig config = model_config("nano-fpn");
  const DataSummary empty = summarise(dataset, "", config, kStrides);
  CHECK(empty.images == 0);
  CHECK(empty.sizes.empty());
  CHECK(empty.poorly_covered == 0);
  CHECK(has_advice(empty, "contains no objects"));
  CHECK(contains(summary_text(empty), "all images: 0 images"));

  const Levels own = config.anchor_sizes;
  suit_to_data(config, dataset, kStrides, {});
  CHECK(config.anchor_sizes == own);
  CHECK(config.short_side == 240);
  dataset.samples = {make_sample("a", 320, 240, {{{0, 0, 9, 9}, 1, true}})};  // only a difficult object
  suit_to_data(config, dataset, kStrides, {});
  CHECK(config.anchor_sizes == own);
  config.anchor_sizes = {{8}, {16}};
  CHECK(contains(input_error([&] { suit_to_data(config, dataset, kStrides, {}); }), "for 3 levels, found 2"));
  CHECK(contains(input_error([&] { summarise(dataset, "", config, kStrides); }), "for 3 levels, found 2"));
}

TEST_CASE("data summary: many classes and long names fit into 100 columns") {
  Dataset dataset;
  for (int c = 0; c < 80; ++c) dataset.classes.push_back("class number " + std::to_string(c));
  dataset.classes[3] = "a name that is far too long for a table and goes on and on, as people do";
  dataset.classes[4] = "\u00e9l\u00e9phant";
  Sample sample = make_sample("a", 320, 240, {});
  for (int c = 1; c <= 80; ++c)
    for (int i = 0; i < 81 - c; ++i)
      sample.objects.push_back({{0, 0, 20.0f + static_cast<float>(c), 20.0f + static_cast<float>(i)}, c});
  dataset.samples = {sample};
  const std::string text = summary_text(summarise(dataset, "train", model_config("nano-fpn"), kStrides));
  CHECK(widest(text) <= 100);
  CHECK(contains(text, "class number 23 "));
  CHECK_FALSE(contains(text, "class number 24 "));
  CHECK(contains(text, "... and 56 more classes with 1596 boxes in total"));  // 56 + 55 + ... + 1
  CHECK(contains(text, "a name that is far too long fo.."));
  CHECK(contains(text, "\u00e9l\u00e9phant"));
}

TEST_CASE("suit to data: anchor sizes follow the sizes of the boxes") {
  // Six sizes with forty boxes each become the anchor sizes.
  std::vector<float> sides;
  for (const float side : {18.0f, 26.0f, 38.0f, 56.0f, 84.0f, 124.0f}) sides.insert(sides.end(), 40, side);
  ModelConfig config = model_config("nano-fpn");
  suit_to_data(config, squares(sides), kStrides, {});
  CHECK(config.anchor_sizes == Levels{{18, 26}, {38, 56}, {84, 124}});
  CHECK(config.short_side == 240);
  CHECK(config.long_side == 640);

  // A setting that is not asked for does not change.
  ModelConfig kept = model_config("nano-fpn");
  suit_to_data(kept, squares(sides), kStrides, {.short_side = true, .anchor_sizes = false});
  CHECK(kept.anchor_sizes == model_config("nano-fpn").anchor_sizes);

  // One box, or a thousand boxes of one size: their size becomes an anchor size, and of the model's own sizes
  // the two that are nearest to each other by ratio, 23 and 32, become one: sqrt(23 x 32) = 27.1.
  for (const size_t count : {size_t{1}, size_t{1000}}) {
    ModelConfig few = model_config("nano-fpn");
    suit_to_data(few, squares(std::vector<float>(count, 150)), kStrides, {});
    CHECK(few.anchor_sizes == Levels{{16, 28}, {44, 64}, {90, 150}});
  }

  // Large boxes give no sizes to fine levels: an anchor of 150 pixels does not belong to stride 4.
  ModelConfig huge = model_config("nano-fpn");
  std::vector<float> large;
  for (int i = 0; i < 200; ++i) large.push_back(100.0f + static_cast<float>(i % 100));
  suit_to_data(huge, squares(large), kStrides, {});
  CHECK(huge.anchor_sizes[0][1] <= 48);
  CHECK(huge.anchor_sizes[1][1] <= 96);
  CHECK(poorly_covered(anchor_overlaps(squares(large), huge, kStrides)) == 0);
}

TEST_CASE("suit to data: small boxes do not make the anchors of coarse levels smaller than two cells") {
  std::vector<float> sides;
  for (int i = 0; i < 1000; ++i) sides.push_back(6 + static_cast<float>(i) / 100);
  ModelConfig config = model_config("nano-fpn");
  suit_to_data(config, squares(sides), kStrides, {.short_side = false, .anchor_sizes = true});
  CAPTURE(format_value(config.anchor_sizes));
  CHECK(config.short_side == 240);
  CHECK(config.anchor_sizes[0][1] < 16);
  CHECK(config.anchor_sizes[1][0] >= 16);  // two cells of its level
  CHECK(config.anchor_sizes[2][0] >= 32);
}

TEST_CASE("suit to data: a class with few boxes gets its own anchor sizes") {
  // 2000 boxes of 40 to 80 pixels and 30 boxes of 17 and 25 pixels, once as one class and once as two.
  std::vector<float> sides;
  for (int i = 0; i < 2000; ++i) sides.push_back(40 * std::pow(2.0f, static_cast<float>(i) / 2000));
  for (int i = 0; i < 30; ++i) sides.push_back(i % 2 == 0 ? 17.0f : 25.0f);
  Dataset one = squares(sides), two = one;
  two.classes.emplace_back("small");
  for (Sample& sample : two.samples)
    for (Object& object : sample.objects)
      if (object.box.x2 - object.box.x1 < 30) object.label = 2;
  ModelConfig of_one = model_config("nano-fpn"), of_two = of_one;
  suit_to_data(of_one, one, kStrides, {});
  suit_to_data(of_two, two, kStrides, {});
  CHECK(of_one.anchor_sizes[0][1] > 30);
  CAPTURE(format_value(of_two.anchor_sizes));
  CHECK(std::fabs(of_two.anchor_sizes[0][0] - 17) <= 2);
  CHECK(std::fabs(of_two.anchor_sizes[0][1] - 25) <= 2);
}

TEST_CASE("suit to data: every level keeps its number of sizes, which are ascending, even and distinct") {
  RandomSequence random(1, Purpose::test, 11);
  for (int trial = 0; trial < 40; ++trial) {
    std::vector<float> sides;
    const float low = random.uniform(1, 60), spread = random.uniform(1, 8);
    for (uint32_t i = 0; i < 1 + random.below(1500); ++i)
      sides.push_back(std::min(200.0f, low * std::pow(spread, random.uniform())));
    ModelConfig config = model_config("nano-fpn");
    if (trial % 2 == 1) config.anchor_sizes = {{16}, {24, 32, 40}, {64, 90}};
    const Levels own = config.anchor_sizes;
    suit_to_data(config, squares(sides), kStrides, {});
    CAPTURE(format_value(config.anchor_sizes));
    REQUIRE(config.anchor_sizes.size() == own.size());
    for (size_t l = 0; l < own.size(); ++l) CHECK(config.anchor_sizes[l].size() == own[l].size());
    const std::vector<float> sizes = flat(config.anchor_sizes);
    CHECK(sizes[0] >= 4);
    for (size_t i = 0; i < sizes.size(); ++i) {
      CHECK(std::fmod(sizes[i], 2.0f) == 0);
      if (i > 0) CHECK(sizes[i] >= 1.2f * sizes[i - 1]);
    }
    CHECK(config.short_side % config.size_divisible == 0);
    CHECK(config.short_side >= 240);
    CHECK(config.short_side <= 480);  // twice the short side of the images
  }
}

TEST_CASE("suit to data: only small boxes lead to a larger short side") {
  const auto short_side = [](const std::vector<float>& sides) {
    ModelConfig config = model_config("nano-fpn");
    suit_to_data(config, squares(sides), kStrides, {});
    CHECK(static_cast<double>(config.long_side) ==
          doctest::Approx(static_cast<double>(config.short_side) * 640 / 240).epsilon(0.01));
    return config.short_side;
  };
  CHECK(short_side(std::vector<float>(100, 16)) == 240);  // 4 cells of 4 pixels
  CHECK(short_side(std::vector<float>(100, 12)) == 320);  // 240 x 16 / 12
  CHECK(short_side(std::vector<float>(100, 11)) == 352);  // 349.1, rounded up to a multiple of 16
  CHECK(short_side(std::vector<float>(100, 7)) == 480);   // 548, limited to twice the images' 240
  CHECK(short_side(std::vector<float>(19, 7)) == 240);    // too few boxes
  std::vector<float> mixed(100, 60);
  std::fill_n(mixed.begin(), 9, 7.0f);  // fewer than a tenth of the boxes
  CHECK(short_side(mixed) == 240);

  // The limit is 2.5 times the model's own short side.
  Dataset photographs = squares(std::vector<float>(100, 20));
  for (Sample& sample : photographs.samples) sample.width = 3200, sample.height = 2400;
  ModelConfig config = model_config("nano-fpn");
  suit_to_data(config, photographs, kStrides, {});
  CHECK(config.short_side == 592);  // 600, rounded down to a multiple of 16
}

TEST_CASE("data summary: the advice names the setting that helps, and by how much") {
  const ModelConfig config = model_config("nano-fpn");
  const auto advice = [&](const Dataset& dataset) {
    const DataSummary summary = summarise(dataset, "train", config, kStrides);
    CHECK(summary.poorly_covered > 0.1);
    const auto found = std::find_if(summary.advice.begin(), summary.advice.end(), [](const std::string& s) {
      return contains(s, "overlap no anchor by an IoU of .5");
    });
    return found == summary.advice.end() ? std::string() : *found;
  };
  // Boxes far larger than 90 pixels.
  CHECK(contains(advice(squares(std::vector<float>(50, 200))), "--anchor-sizes '"));
  CHECK(contains(advice(squares(std::vector<float>(50, 200))), "would reduce this to 0.0 %"));
  // Boxes whose sizes are covered, but that are six times as wide as high.
  Dataset flat_boxes;
  flat_boxes.classes = {"flat"};
  for (int i = 0; i < 30; ++i) {
    const auto at = static_cast<float>(4 * i);
    flat_boxes.samples.push_back(
        make_sample(std::to_string(i), 320, 240, {{{at, at, at + 120, at + 20}, 1}}));
  }
  CHECK(contains(advice(flat_boxes), "--anchor-ratios 0.17 would reduce this to 0.0 %"));
  // Boxes of 3 pixels, smaller than a cell.
  CHECK(contains(advice(squares(std::vector<float>(50, 3))), "--short-side 480"));
  // No advice for boxes that are well covered.
  const DataSummary good = summarise(squares(std::vector<float>(50, 32)), "train", config, kStrides);
  CHECK(good.poorly_covered <= 0.1);
  CHECK_FALSE(has_advice(good, "overlap no anchor by an IoU of .5"));
}

TEST_CASE("data summary: anchors suited to real photographs cover their boxes") {
  for (const char* name : {"bccd", "raccoon"}) {
    const auto folder = real_data(name);
    if (folder.empty()) return;
    const Dataset train = read_voc(folder, "train");
    ModelConfig config = model_config("nano-fpn");
    suit_to_data(config, train, kStrides, {});
    CHECK(config.short_side == 240);
    const DataSummary summary = summarise(train, "train", config, kStrides);
    CHECK(summary.poorly_covered < 0.01);
    CHECK(widest(summary_text(summary)) <= 100);
  }
}
