// Augmented images: the boxes move with their pixels.
#include "data/augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "tests/data/ramps.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

/// What a pixel encodes: its sample and its position there, at the pixel's centre.
struct Origin {
  int sample;
  float x, y;
};

Origin origin(const Image& image, int x, int y) {
  const uint8_t* p = image.pixel(x, y);
  return {(p[2] + 20) / 40, static_cast<float>(p[0]) + 0.5f, static_cast<float>(p[1]) + 0.5f};
}

bool inside(const Box& box, const Origin& o, float margin) {
  return o.x >= box.x1 - margin && o.x <= box.x2 + margin && o.y >= box.y1 - margin && o.y <= box.y2 + margin;
}

/// Checks that the pixels just inside the sides of the box come from one object and those just outside do
/// not, unless the image ends there or another image begins, which shows as a jump of the ramps. Returns the
/// share of the object's area that is visible.
float check_box(const Ramps& ramps, const AugmentedImage& made, const Object& object) {
  const Image& image = made.image;
  const Box& box = object.box;
  REQUIRE(box.x1 >= 0);
  REQUIRE(box.y1 >= 0);
  REQUIRE(box.x2 <= static_cast<float>(image.width));
  REQUIRE(box.y2 <= static_cast<float>(image.height));
  REQUIRE(box.x2 - box.x1 >= 1);
  REQUIRE(box.y2 - box.y1 >= 1);
  const int x1 = static_cast<int>(std::ceil(box.x1)), y1 = static_cast<int>(std::ceil(box.y1)),
            x2 = static_cast<int>(std::floor(box.x2)) - 1, y2 = static_cast<int>(std::floor(box.y2)) - 1;
  if (x2 < x1 || y2 < y1) return 1;  // it contains no whole pixel
  const int xm = (x1 + x2) / 2, ym = (y1 + y2) / 2;
  const Origin centre = origin(image, xm, ym);
  const std::vector<Object>& from = ramps.data.samples[static_cast<size_t>(centre.sample)].objects;
  const auto found =
      std::find_if(from.begin(), from.end(), [&](const Object& o) { return inside(o.box, centre, 1.5f); });
  REQUIRE(found != from.end());
  CHECK(found->label == object.label);
  const Origin a = origin(image, x1, y1), b = origin(image, x2, y2);
  const float step_x = (b.x - a.x) / static_cast<float>(std::max(x2 - x1, 1)),
              step_y = (b.y - a.y) / static_cast<float>(std::max(y2 - y1, 1));
  const std::array<std::array<int, 4>, 4> sides = {
      {{x1, ym, x1 - 3, ym}, {x2, ym, x2 + 3, ym}, {xm, y1, xm, y1 - 3}, {xm, y2, xm, y2 + 3}}};
  for (const auto& [ix, iy, ox, oy] : sides) {
    const Origin in = origin(image, ix, iy);
    CHECK(in.sample == centre.sample);
    CHECK(inside(found->box, in, 1.5f));
    if (ox < 0 || oy < 0 || ox >= image.width || oy >= image.height) continue;
    const Origin out = origin(image, ox, oy);
    const float wanted_x = in.x + step_x * static_cast<float>(ox - ix),
                wanted_y = in.y + step_y * static_cast<float>(oy - iy);
    const bool another =
        out.sample != in.sample || std::abs(out.x - wanted_x) + std::abs(out.y - wanted_y) > 3;
    CHECK((another || !inside(found->box, out, -1.5f)));
  }
  return (std::abs(a.x - b.x) + 1) * (std::abs(a.y - b.y) + 1) /
         ((found->box.x2 - found->box.x1) * (found->box.y2 - found->box.y1));
}

Object crowd_at(const Box& box) {
  Object object{box, 1};
  object.crowd = true;
  return object;
}

}  // namespace

TEST_CASE("augment: with everything off the image stays as it is, and no other image is fetched") {
  const Ramps ramps = four_ramps();
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const AugmentedImage made = augment({}, seed, 3, 1, ramps.data, *ramps.images[1], nullptr);
    CHECK(made.image.width == 100);
    CHECK(made.image.height == 200);
    CHECK(made.image.rgb == ramps.images[1]->rgb);
    CHECK(made.objects == ramps.data.samples[1].objects);
    CHECK(made.scale == 1);
  }
}

TEST_CASE("augment: boxes follow their pixels") {
  const Ramps ramps = four_ramps();
  const AugmentOptions choices[] = {
      {.crop = 1},
      {.flip_horizontal = true, .flip_vertical = true},
      {.mosaic = 1},
      {.mosaic = 0.5f, .crop = 0.5f, .flip_horizontal = true, .flip_vertical = true, .scale_jitter = 0.3f}};
  for (const AugmentOptions& options : choices) {
    INFO(fmt::format("mosaic {} crop {}", options.mosaic, options.crop));
    size_t boxes = 0;
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      INFO(seed);
      const AugmentedImage made = ramps.augmented(options, seed, static_cast<int>(seed % 4));
      for (const Object& object : made.objects) check_box(ramps, made, object);
      boxes += made.objects.size();
    }
    CHECK(boxes >= kSeeds);
  }
}

TEST_CASE("augment: a painted rectangle is framed after everything but a mosaic") {
  const AugmentOptions all{.crop = 0.7f,
                           .flip_horizontal = true,
                           .flip_vertical = true,
                           .colour_jitter = 0.5f,
                           .scale_jitter = 0.2f};
  Image image(80, 60);
  const Box box{22, 17, 51, 40};
  std::fill(image.rgb.begin(), image.rgb.end(), uint8_t{70});
  for (int y = 17; y < 40; ++y)
    for (int x = 22; x < 51; ++x)
      std::copy_n(std::array<uint8_t, 3>{230, 160, 150}.data(), 3, image.pixel(x, y));
  Dataset data;
  data.samples.push_back({"one", "", 80, 60, {{box, 1}}});
  std::set<std::pair<int, int>> sizes;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const AugmentedImage made = augment(all, seed, 0, 0, data, image, nullptr);
    REQUIRE(made.objects.size() == 1);
    const auto [min, max] = std::minmax_element(made.image.rgb.begin(), made.image.rgb.end());
    const int middle = (*min + *max) / 2;
    Box found{1e6f, 1e6f, -1, -1};
    for (int y = 0; y < made.image.height; ++y)
      for (int x = 0; x < made.image.width; ++x)
        if (*std::max_element(made.image.pixel(x, y), made.image.pixel(x, y) + 3) > middle) {
          found.x1 = std::min(found.x1, static_cast<float>(x));
          found.y1 = std::min(found.y1, static_cast<float>(y));
          found.x2 = std::max(found.x2, static_cast<float>(x + 1));
          found.y2 = std::max(found.y2, static_cast<float>(y + 1));
        }
    CHECK(found == made.objects[0].box);
    sizes.insert({made.image.width, made.image.height});
  }
  CHECK(sizes.size() > 10);
}

TEST_CASE("augment: a crop has half to all of each side, the aspect ratio, and the boxes centred in it") {
  const Ramps ramps = four_ramps();
  int min_width = 240, kept_both = 0, whole = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const AugmentedImage made = ramps.augmented({.crop = 1}, seed);
    CHECK(made.image.width >= 120);
    CHECK(made.image.width <= 240);
    CHECK(std::abs(made.image.width * 180 - made.image.height * 240) <= 240);
    min_width = std::min(min_width, made.image.width);
    whole += made.image.width == 240 ? 1 : 0;
    const Origin first = origin(made.image, 0, 0);
    const float x2 = first.x + static_cast<float>(made.image.width),
                y2 = first.y + static_cast<float>(made.image.height);
    const Box seen{first.x - 0.5f, first.y - 0.5f, x2 - 0.5f, y2 - 0.5f};
    std::vector<Object> wanted;
    for (const Object& object : ramps.data.samples[0].objects) {
      const Box& b = object.box;
      const float x = (b.x1 + b.x2) / 2, y = (b.y1 + b.y2) / 2;
      if (x >= seen.x1 && x < seen.x2 && y >= seen.y1 && y < seen.y2)
        wanted.push_back({{std::max(b.x1 - seen.x1, 0.0f), std::max(b.y1 - seen.y1, 0.0f),
                           std::min(b.x2, seen.x2) - seen.x1, std::min(b.y2, seen.y2) - seen.y1},
                          object.label});
    }
    CHECK(made.objects == wanted);
    CHECK(!made.objects.empty());
    kept_both += made.objects.size() == 2 ? 1 : 0;
  }
  CHECK(min_width < 130);
  CHECK(whole < kSeeds / 10);
  CHECK(kept_both > 0);
  CHECK(kept_both < kSeeds);
}

TEST_CASE("augment: a crop keeps at least one object to train on, and ignored objects move with it") {
  Ramps ramps;
  ramps.add(200, 200, {crowd_at({0, 0, 200, 200}), {{0, 0, 4, 4}, 2}});
  ramps.add(200, 200, {crowd_at({0, 0, 4, 4})});
  ramps.add(200, 200, {});
  int whole = 0, without = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const AugmentedImage made = ramps.augmented({.crop = 1}, seed);
    CHECK(std::count_if(made.objects.begin(), made.objects.end(),
                        [](const Object& o) { return o.label == 2; }) == 1);
    whole += made.image.width == 200 ? 1 : 0;
    without += ramps.augmented({.crop = 1}, seed, 1).objects.empty() ? 1 : 0;
    CHECK(ramps.augmented({.crop = 1}, seed, 2).objects.empty());
  }
  CHECK(whole > kSeeds / 2);  // few crops contain such a corner
  CHECK(without > kSeeds / 2);
}

TEST_CASE("augment: the changes have the requested probabilities") {
  const Ramps ramps = four_ramps();
  int cropped = 0, mosaics = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    cropped += ramps.augmented({.crop = 0.25f}, seed).image.rgb != ramps.images[0]->rgb ? 1 : 0;
    mosaics += ramps.augmented({.mosaic = 0.25f}, seed).image.rgb != ramps.images[0]->rgb ? 1 : 0;
  }
  CHECK(std::abs(cropped - 100) < 35);  // four standard deviations
  CHECK(std::abs(mosaics - 100) < 35);
}

TEST_CASE("augment: a mosaic shows this image and three others, and boxes that keep a fifth of their area") {
  const Ramps ramps = four_ramps();
  float min_share = 1;
  std::array<int, 4> shown{};
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const AugmentedImage made = ramps.augmented({.mosaic = 1}, seed);
    CHECK(made.image.width == 240);
    CHECK(made.image.height == 180);
    for (const Object& object : made.objects) min_share = std::min(min_share, check_box(ramps, made, object));
    const std::array<Origin, 4> corners = {origin(made.image, 2, 2), origin(made.image, 237, 2),
                                           origin(made.image, 2, 177), origin(made.image, 237, 177)};
    std::set<int> different;
    for (size_t i = 0; i < 4; ++i) {
      shown[i] += corners[i].sample == 0 ? 1 : 0;
      different.insert(corners[i].sample);
    }
    CHECK(different.size() == 4);
  }
  CHECK(min_share > 0.16f);  // measured in whole pixels
  CHECK(min_share < 0.25f);
  for (const int count : shown) CHECK(count > kSeeds / 8);
}

TEST_CASE("augment: this image takes the place of others that cannot be decoded or do not exist") {
  Ramps ramps = four_ramps();
  const FetchImage none = [](int) { return nullptr; };
  Ramps alone;
  alone.add(240, 180, ramps.data.samples[0].objects);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const AugmentedImage made = augment({.mosaic = 1}, seed, 0, 0, ramps.data, *ramps.images[0], none);
    for (size_t i = 2; i < made.image.rgb.size(); i += 3) REQUIRE(made.image.rgb[i] == 0);
    for (const Object& object : made.objects) check_box(ramps, made, object);
    const AugmentedImage single = alone.augmented({.mosaic = 1}, seed);
    for (const Object& object : single.objects) check_box(alone, single, object);
  }
}

TEST_CASE("augment: images of one pixel and of one row, and objects that are hardly larger") {
  Ramps ramps;
  ramps.add(1, 1, {{{0, 0, 1, 1}, 1}});
  ramps.add(1, 40, {{{0, 10, 1, 20}, 2}});
  ramps.add(40, 1, {});
  ramps.add(40, 40, {{{10, 10, 11.5f, 30}, 3}, {{5, 20, 30, 21.5f}, 3}});
  const AugmentOptions all{.mosaic = 0.5f,
                           .crop = 0.5f,
                           .flip_horizontal = true,
                           .flip_vertical = true,
                           .colour_jitter = 0.5f,
                           .scale_jitter = 0.5f};
  for (uint64_t seed = 0; seed < kSeeds; ++seed)
    for (int sample = 0; sample < 4; ++sample) {
      const AugmentedImage made = ramps.augmented(all, seed, sample);
      REQUIRE(made.image.width >= 1);
      REQUIRE(made.image.height >= 1);
      REQUIRE(made.image.rgb.size() == static_cast<size_t>(3 * made.image.width * made.image.height));
      for (const Object& object : made.objects) {
        CHECK(object.box.x2 - object.box.x1 >= 1);
        CHECK(object.box.y2 - object.box.y1 >= 1);
        CHECK(object.box.x2 <= static_cast<float>(made.image.width));
        CHECK(object.box.y2 <= static_cast<float>(made.image.height));
      }
    }
}

TEST_CASE("augment: every change is keyed by seed, epoch and sample, independently of the others") {
  const Ramps ramps = four_ramps();
  const AugmentOptions all{
      .mosaic = 0.3f, .crop = 0.5f, .flip_horizontal = true, .colour_jitter = 0.4f, .scale_jitter = 0.3f};
  // Every change depends on each of the three numbers.
  const AugmentOptions parts[] = {
      {.mosaic = 1}, {.crop = 1}, {.flip_horizontal = true}, {.colour_jitter = 0.4f}, {.scale_jitter = 0.3f}};
  Ramps twins;
  for (int i = 0; i < 8; ++i) twins.add(60, 40, {{{10, 10, 30, 30}, 1}});
  for (auto& image : twins.images) image = twins.images[0];
  for (const AugmentOptions& options : parts) {
    const auto outcome = [&](uint64_t seed, int sample, int epoch) {
      const AugmentedImage made = twins.augmented(options, seed, sample, epoch);
      return std::pair{made.image.rgb, made.scale};
    };
    std::array<std::set<std::pair<std::vector<uint8_t>, float>>, 3> outcomes;
    for (int i = 0; i < 8; ++i) {
      outcomes[0].insert(outcome(static_cast<uint64_t>(i), 0, 0));
      outcomes[1].insert(outcome(0, i, 0));
      outcomes[2].insert(outcome(0, 0, i));
    }
    for (const auto& different : outcomes) CHECK(different.size() > 1);
    CHECK(outcome(1, 2, 3) == outcome(1, 2, 3));
  }
  // Turning colours off does not change the crops, and turning crops off does not change the scales.
  for (uint64_t seed = 0; seed < 20; ++seed) {
    AugmentOptions without = all;
    without.colour_jitter = 0;
    CHECK(ramps.augmented(without, seed).objects == ramps.augmented(all, seed).objects);
    without.crop = without.mosaic = 0;
    CHECK(ramps.augmented(without, seed).scale == ramps.augmented(all, seed).scale);
  }
}

TEST_CASE("augment: the scale takes few values, spread equally downwards and upwards") {
  const Ramps ramps = four_ramps();
  std::set<float> scales;
  for (uint64_t seed = 0; seed < kSeeds; ++seed)
    scales.insert(ramps.augmented({.scale_jitter = 0.5f}, seed).scale);
  REQUIRE(scales.size() == kScaleSteps);
  CHECK(*scales.begin() == doctest::Approx(1 / 1.5));
  CHECK(*scales.rbegin() == doctest::Approx(1.5));
  CHECK(scales.contains(1.0f));
}

TEST_CASE("augment: colours differ from image to image, within their bounds") {
  Ramps ramps;
  Image grey(4, 4);
  std::fill(grey.rgb.begin(), grey.rgb.end(), uint8_t{100});
  ramps.images.push_back(std::make_shared<const Image>(grey));
  ramps.data.samples.push_back({"grey", "", 4, 4, {}});
  std::set<uint8_t> levels;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Image made = ramps.augmented({.colour_jitter = 0.3f}, seed).image;
    levels.insert(made.rgb.begin(), made.rgb.end());
    CHECK(std::count(made.rgb.begin(), made.rgb.end(), made.rgb[0]) == 48);  // still grey and uniform
  }
  CHECK(*levels.begin() >= 70);
  CHECK(*levels.begin() < 75);
  CHECK(*levels.rbegin() <= 130);
  CHECK(*levels.rbegin() > 125);
}
