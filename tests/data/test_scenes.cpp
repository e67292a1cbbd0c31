#include "data/scenes.h"

#include <cmath>
#include <set>

#include "data/scene_paint.h"
#include "data/voc.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

TEST_CASE("scenes: the same number gives the same scene, and another number another scene") {
  const Scene a = make_scene(5, 3), b = make_scene(5, 3), c = make_scene(5, 4), d = make_scene(6, 3);
  CHECK(a.image.rgb == b.image.rgb);
  CHECK(a.objects == b.objects);
  CHECK(a.image.rgb != c.image.rgb);
  CHECK(a.image.rgb != d.image.rgb);
}

TEST_CASE("scenes: boxes lie at whole pixels inside the image, every kind and some empty scenes appear") {
  const SceneOptions options{.width = 128, .height = 96, .max_size = 44};
  const int scenes = 60;
  std::vector<int> kinds(scene_classes().size() + 1);
  int empty = 0;
  for (uint32_t i = 0; i < scenes; ++i) {
    const Scene scene = make_scene(1, i, options);
    CHECK(scene.image.width == 128);
    CHECK(scene.image.height == 96);
    CHECK(static_cast<int>(scene.objects.size()) <= options.max_objects);
    empty += scene.objects.empty() ? 1 : 0;
    for (const Object& object : scene.objects) {
      const Box& box = object.box;
      for (const float value : {box.x1, box.y1, box.x2, box.y2}) CHECK(value == std::round(value));
      CHECK((box.x1 >= 0 && box.y1 >= 0 && box.x2 <= 128 && box.y2 <= 96));
      CHECK((box.x2 - box.x1 >= 4 && box.y2 - box.y1 >= 4 && box.x2 - box.x1 <= 44 && box.y2 - box.y1 <= 44));
      ++kinds.at(static_cast<size_t>(object.label));
    }
  }
  CHECK(kinds[0] == 0);
  for (size_t label = 1; label < kinds.size(); ++label) CHECK(kinds[label] >= 12);
  CHECK((empty >= 1 && empty <= 14));
}

TEST_CASE("scenes: the picture shows an object exactly where its box says") {
  // Compares with the background alone, whose random draws are the same as those of the scene.
  int checked = 0;
  for (uint32_t i = 0; i < 40 && checked < 15; ++i) {
    const SceneOptions options{
        .width = 160, .height = 120, .max_objects = 1, .max_size = 60, .empty_share = 0};
    const Scene scene = make_scene(2, i, options);
    if (scene.objects.empty()) continue;
    RandomSequence random(2, Purpose::scene, i);
    Canvas background(160, 120);
    paint_background(background, random);
    int x1 = 160, y1 = 120, x2 = 0, y2 = 0;
    for (int y = 0; y < 120; ++y)
      for (int x = 0; x < 160; ++x) {
        const Rgb& before = background.at(x, y);
        const uint8_t* now = scene.image.pixel(x, y);
        // Shadow, grain and vignette keep the ratio of the channels; the colour of a shape changes it.
        const float r = static_cast<float>(now[0]) / 255, g = static_cast<float>(now[1]) / 255,
                    b = static_cast<float>(now[2]) / 255;
        const float sum = r + g + b + 1e-6f, was = before.r + before.g + before.b + 1e-6f;
        if (std::abs(r / sum - before.r / was) + std::abs(b / sum - before.b / was) < 0.15f) continue;
        x1 = std::min(x1, x);
        y1 = std::min(y1, y);
        x2 = std::max(x2, x + 1);
        y2 = std::max(y2, y + 1);
      }
    const Box& box = scene.objects[0].box;
    const float off =
        std::max({std::abs(box.x1 - static_cast<float>(x1)), std::abs(box.y1 - static_cast<float>(y1)),
                  std::abs(box.x2 - static_cast<float>(x2)), std::abs(box.y2 - static_cast<float>(y2))});
    // Not every colour differs enough from the background to be detected this way.
    checked += off <= 2 ? 1 : 0;
  }
  CHECK(checked >= 8);
}

TEST_CASE("scenes: more shapes stay if more of a shape may be hidden") {
  std::vector<size_t> counts;
  for (const float max_hidden : {0.0f, 0.2f, 0.5f}) {
    const SceneOptions options{
        .width = 64, .height = 64, .max_size = 40, .empty_share = 0, .max_hidden = max_hidden};
    counts.push_back(0);
    for (uint32_t i = 0; i < 12; ++i) counts.back() += make_scene(3, i, options).objects.size();
  }
  for (size_t i = 1; i < counts.size(); ++i) CHECK(counts[i] > counts[i - 1]);
}

TEST_CASE("scenes: no objects if the options ask for none") {
  for (uint32_t i = 0; i < 5; ++i) {
    CHECK(make_scene(1, i, {.width = 40, .height = 32, .max_objects = 0}).objects.empty());
    CHECK(make_scene(1, i, {.width = 40, .height = 32, .empty_share = 1}).objects.empty());
  }
}

TEST_CASE("scenes: a distance is negative inside, and every kind fills its circle and stays in it") {
  for (int kind = 0; kind < kShapeKinds; ++kind) {
    SceneShape shape;
    shape.kind = static_cast<ShapeKind>(kind);
    shape.x = 50;
    shape.y = 40;
    shape.radius = 20;
    shape.angle = 0.7f;
    CHECK((signed_distance(shape, 50, 40) < 0) == (shape.kind != ShapeKind::ring));
    float largest = 0;
    for (int degree = 0; degree < 360; ++degree) {
      const float angle = static_cast<float>(degree) * 0.0174533f;
      const float c = std::cos(angle), s = std::sin(angle);
      CHECK(signed_distance(shape, 50 + 20 * c, 40 + 20 * s) > 0);
      for (float r = 0; r < 20; r += 0.5f)
        if (signed_distance(shape, 50 + r * c, 40 + r * s) < 0) largest = std::max(largest, r);
    }
    CHECK(largest >= 17.5f);
  }
}

TEST_CASE("scenes: two splits are written to the same folder and read back") {
  const TemporaryFolder folder;
  const SceneOptions options{.width = 96, .height = 64, .max_size = 40};
  write_scenes(folder.path(), 5, 9, "train", options);
  write_scenes(folder.path(), 3, 9, "test", options);
  const Dataset train = read_voc(folder.path(), "train", scene_classes());
  const Dataset test = read_voc(folder.path(), "test", scene_classes());
  CHECK(train.faults.empty());
  CHECK(test.faults.empty());
  REQUIRE(train.samples.size() == 5);
  REQUIRE(test.samples.size() == 3);
  std::set<std::vector<uint8_t>> pictures;
  for (uint32_t i = 0; i < 5; ++i) {
    const Scene scene = make_scene(scene_stream(9, "train"), i, options);
    CHECK(train.samples[i].objects == scene.objects);
    CHECK(read_image(train.samples[i].image).rgb == scene.image.rgb);
    pictures.insert(scene.image.rgb);
  }
  for (const Sample& sample : test.samples) pictures.insert(read_image(sample.image).rgb);
  CHECK(pictures.size() == 8);
}

TEST_CASE("scenes: every pair of seed and split has its own stream") {
  std::set<uint64_t> streams;
  for (const uint64_t seed : {0, 1, 2})
    for (const char* split : {"train", "test", "val", "tset", "trainval"})
      streams.insert(scene_stream(seed, split));
  CHECK(streams.size() == 15);
}

TEST_CASE("scenes: options out of range") {
  const TemporaryFolder folder;
  CHECK(contains(input_error([] { make_scene(1, 1, {.width = 8}); }), "8 x 240"));
  CHECK(contains(input_error([] { make_scene(1, 1, {.max_objects = -1}); }), "-1 objects"));
  CHECK(contains(input_error([] { make_scene(1, 1, {.min_size = 50, .max_size = 20}); }), "50 to 20"));
  CHECK(contains(input_error([] { make_scene(1, 1, {.max_hidden = std::nanf("")}); }), "nan"));
  CHECK(contains(input_error([&] { write_scenes(folder.path(), 1, 1, "a/b"); }), "'a/b'"));
  write_text(folder / "file", "");
  CHECK_THROWS_WITH_AS(write_scenes(folder / "file", 1, 1, "train"), doctest::Contains("file"), Error);
}
