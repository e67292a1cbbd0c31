#include "data/augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/rng.h"
#include "data/colour_jitter.h"
#include "data/transforms.h"

namespace rcnn {
namespace {

constexpr float kMinCentre = 0.3f;  // of a mosaic, as a share of each side; the maximum is 1 minus this
constexpr float kMinLeft = 0.2f;    // share of its area that a box in a mosaic must keep
constexpr float kMinSide = 0.5f;    // of a crop, as a share of the image's side
constexpr int kCropTries = 10;

bool coin(uint64_t seed, int epoch, int sample, uint32_t axis) {
  return (philox(seed, Purpose::augment, static_cast<uint32_t>(epoch), static_cast<uint32_t>(sample), axis) >>
          31) != 0;
}

float area(const Box& box) { return (box.x2 - box.x1) * (box.y2 - box.y1); }

/// A sample's objects followed by its proposals, so that both are moved in the same way.
std::vector<Object> boxes_of(const Sample& sample) {
  std::vector<Object> boxes = sample.objects;
  if (sample.proposals)
    for (const Box& box : *sample.proposals) boxes.push_back({.box = box, .proposal = true});
  return boxes;
}

/// Separates the proposals from the objects again.
void take_proposals_out(AugmentedImage& image) {
  std::vector<Box>& proposals = image.proposals.emplace();
  for (const Object& object : image.objects)
    if (object.proposal) proposals.push_back(object.box);
  std::erase_if(image.objects, [](const Object& object) { return object.proposal; });
}

bool has_a_pixel(const Box& box) { return box.x2 - box.x1 >= 1 && box.y2 - box.y1 >= 1; }

/// The largest part of the source that has the aspect ratio of `place`; `share` chooses its position.
Box covering_window(const Image& source, const PixelArea& place, float share) {
  const auto width = static_cast<float>(source.width), height = static_cast<float>(source.height);
  const auto to_width = static_cast<float>(place.width), to_height = static_cast<float>(place.height);
  const float scale = std::max(to_width / width, to_height / height);
  const float w = std::min(to_width / scale, width), h = std::min(to_height / scale, height);
  const float x = share * (width - w), y = share * (height - h);
  return {x, y, x + w, y + h};
}

/// This sample and three others in random places, all different if the dataset has four samples.
std::array<int, 4> draw_four(int sample, int count, RandomSequence& random) {
  std::array<int, 4> four = {sample};
  for (size_t i = 1; i < 4; ++i) {
    four[i] = static_cast<int>(random.below(static_cast<uint32_t>(count)));
    const auto taken = four.begin() + static_cast<int64_t>(i);
    while (count >= 4 && std::find(four.begin(), taken, four[i]) != taken) four[i] = (four[i] + 1) % count;
  }
  std::swap(four[0], four[random.below(4)]);
  return four;
}

AugmentedImage mosaic_of(int sample, const Dataset& dataset, const Image& image, const FetchImage& fetch,
                         RandomSequence& random) {
  const int width = image.width, height = image.height;
  const auto along = [&](int side) {
    return static_cast<int>(
        std::lround(random.uniform(kMinCentre, 1 - kMinCentre) * static_cast<float>(side)));
  };
  const int x = along(width), y = along(height);
  const PixelArea places[] = {
      {0, 0, x, y}, {x, 0, width - x, y}, {0, y, x, height - y}, {x, y, width - x, height - y}};
  const std::array<int, 4> samples = draw_four(sample, static_cast<int>(dataset.samples.size()), random);

  AugmentedImage result;
  result.image = Image(width, height);
  std::array<std::vector<Object>, 4> proposals;
  for (size_t i = 0; i < 4; ++i) {
    const std::shared_ptr<const Image> other = samples[i] == sample ? nullptr : fetch(samples[i]);
    const int from = other ? samples[i] : sample;
    const Image& source = other ? *other : image;
    const PixelArea& place = places[i];
    const float share = random.uniform();
    if (place.width == 0 || place.height == 0) continue;
    const Box window = covering_window(source, place, share);
    draw_scaled(source, window, result.image, place);
    const float grown = static_cast<float>(place.width) * static_cast<float>(place.height) / area(window);
    for (const Object& object : boxes_of(dataset.samples[static_cast<size_t>(from)])) {
      const Object now = moved(object, window, place);
      if (has_a_pixel(now.box) && area(now.box) >= kMinLeft * grown * area(object.box))
        (now.proposal ? proposals[i] : result.objects).push_back(now);
    }
  }
  // The best proposals of all parts come first, because a training step uses only the first ones.
  const auto longest = std::max_element(proposals.begin(), proposals.end(),
                                        [](const auto& a, const auto& b) { return a.size() < b.size(); });
  for (size_t rank = 0; rank < longest->size(); ++rank)
    for (const std::vector<Object>& part : proposals)
      if (rank < part.size()) result.objects.push_back(part[rank]);
  return result;
}

bool is_wanted(const Object& object) { return !is_ignored(object); }

void crop_randomly(AugmentedImage& whole, RandomSequence& random) {
  const Image& image = whole.image;
  const bool must_keep = std::any_of(whole.objects.begin(), whole.objects.end(), is_wanted);
  for (int i = 0; i < kCropTries; ++i) {
    const float share = random.uniform(kMinSide, 1);
    const auto along = [&](int side) {
      return std::max(1, static_cast<int>(std::lround(share * static_cast<float>(side))));
    };
    PixelArea part{0, 0, along(image.width), along(image.height)};
    part.x = static_cast<int>(random.below(static_cast<uint32_t>(image.width - part.width + 1)));
    part.y = static_cast<int>(random.below(static_cast<uint32_t>(image.height - part.height + 1)));
    const Box window{static_cast<float>(part.x), static_cast<float>(part.y),
                     static_cast<float>(part.x + part.width), static_cast<float>(part.y + part.height)};
    std::vector<Object> kept;
    for (const Object& object : whole.objects) {
      const float x = (object.box.x1 + object.box.x2) / 2, y = (object.box.y1 + object.box.y2) / 2;
      const bool inside = x >= window.x1 && x < window.x2 && y >= window.y1 && y < window.y2;
      const Object now = moved(object, window, {0, 0, part.width, part.height});
      if (inside && has_a_pixel(now.box)) kept.push_back(now);
    }
    if (must_keep && std::none_of(kept.begin(), kept.end(), is_wanted)) continue;
    whole.image = crop(image, part);
    whole.objects = std::move(kept);
    return;
  }
}

ColourFactors draw_colours(float strength, RandomSequence& random) {
  const auto factor = [&] { return random.uniform(1 - strength, 1 + strength); };
  ColourFactors factors;
  factors.brightness = factor();
  factors.contrast = factor();
  factors.saturation = factor();
  factors.hue = random.uniform(-strength / 10, strength / 10);
  return factors;
}

float draw_scale(float jitter, RandomSequence& random) {
  const auto step = static_cast<int>(random.below(kScaleSteps)) - kScaleSteps / 2;
  return std::pow(1 + jitter, static_cast<float>(step) / static_cast<float>(kScaleSteps / 2));
}

}  // namespace

AugmentedImage augment(const AugmentOptions& options, uint64_t seed, int epoch, int sample,
                       const Dataset& dataset, const Image& image, const FetchImage& fetch) {
  const auto random_for = [&](Purpose purpose) {
    return RandomSequence(seed, purpose, static_cast<uint32_t>(epoch), static_cast<uint32_t>(sample));
  };
  AugmentedImage result;
  RandomSequence mosaic = random_for(Purpose::mosaic), crop = random_for(Purpose::crop);
  if (mosaic.uniform() < options.mosaic) {
    result = mosaic_of(sample, dataset, image, fetch, mosaic);
  } else {
    result.image = image;
    result.objects = boxes_of(dataset.samples[static_cast<size_t>(sample)]);
  }
  if (crop.uniform() < options.crop) crop_randomly(result, crop);
  if (options.flip_horizontal && coin(seed, epoch, sample, 0)) flip_horizontal(result.image, result.objects);
  if (options.flip_vertical && coin(seed, epoch, sample, 1)) flip_vertical(result.image, result.objects);
  if (options.colour_jitter > 0) {
    RandomSequence random = random_for(Purpose::colour_jitter);
    change_colours(result.image, draw_colours(options.colour_jitter, random));
  }
  if (options.scale_jitter > 0) {
    RandomSequence random = random_for(Purpose::scale_jitter);
    result.scale = draw_scale(options.scale_jitter, random);
  }
  if (dataset.samples[static_cast<size_t>(sample)].proposals) take_proposals_out(result);
  return result;
}

void check_options(const AugmentOptions& options) {
  const std::pair<std::string_view, float> strengths[] = {{"mosaic", options.mosaic},
                                                          {"crop", options.crop},
                                                          {"colour_jitter", options.colour_jitter},
                                                          {"scale_jitter", options.scale_jitter}};
  for (const auto& [name, value] : strengths)
    check_input(value >= 0 && value <= 1, "{} = {}: expected a number from 0 to 1.", name, value);
}

}  // namespace rcnn
