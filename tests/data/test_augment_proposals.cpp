// The proposals of augmented images move like the objects.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/data/ramps.h"

using namespace rcnn;
using namespace rcnn::fixtures;

TEST_CASE("augment: a mosaic takes the proposals of its four images in turn, so that the best come first") {
  Ramps ramps;
  for (int i = 0; i < 4; ++i) ramps.add(200, 200, {});
  for (Sample& sample : ramps.data.samples) {
    const auto width = static_cast<float>(sample.width), height = static_cast<float>(sample.height);
    sample.proposals =
        std::vector<Box>{{0, 0, width, height}, {width / 4, height / 4, width * 3 / 4, height * 3 / 4}};
  }
  size_t wholes = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    INFO(seed);
    const AugmentedImage made = ramps.augmented({.mosaic = 1}, seed);
    REQUIRE(made.proposals);
    REQUIRE(made.proposals->size() >= 4);
    // The first four are the first proposals of the quarters, which fill them.
    const auto corners = [&](size_t i) {
      const Box& box = (*made.proposals)[i];
      return (box.x1 == 0 || box.x2 == static_cast<float>(made.image.width)) &&
             (box.y1 == 0 || box.y2 == static_cast<float>(made.image.height));
    };
    for (size_t i = 0; i < 4; ++i) wholes += corners(i);
  }
  CHECK(wholes == 4 * kSeeds);
}

TEST_CASE("augment: proposals move like objects with the same boxes, and do not change the objects") {
  Ramps plain = four_ramps(), proposed = plain;
  for (Sample& sample : proposed.data.samples) {
    sample.proposals.emplace();
    for (const Object& object : sample.objects) sample.proposals->push_back(object.box);
    sample.proposals->push_back({0, 0, 6, 7});  // and one without an object
  }
  const AugmentOptions options{
      .mosaic = 0.3f, .crop = 0.6f, .flip_horizontal = true, .flip_vertical = true, .scale_jitter = 0.3f};
  size_t more = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    INFO(seed);
    const int sample = static_cast<int>(seed % 4);
    const AugmentedImage without = plain.augmented(options, seed, sample),
                         made = proposed.augmented(options, seed, sample);
    CHECK_FALSE(without.proposals);
    CHECK(made.objects == without.objects);
    CHECK(made.image.rgb == without.image.rgb);
    REQUIRE(made.proposals);
    for (const Object& object : made.objects)
      CHECK(std::find(made.proposals->begin(), made.proposals->end(), object.box) != made.proposals->end());
    more += made.proposals->size() - made.objects.size();
  }
  CHECK(more > 0);
  CHECK(more < 4 * kSeeds);  // crops and mosaics drop some
}
