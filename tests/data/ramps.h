// Images whose pixels encode where they come from.
#pragma once

#include <memory>
#include <vector>

#include "data/augment.h"
#include "tests/data/fixtures.h"

namespace rcnn::fixtures {

inline constexpr int kSeeds = 300;

/// Samples whose pixels encode where they come from: red is the column, green the row, blue the sample.
/// Linear ramps stay correct when an image is scaled.
struct Ramps {
  Dataset data;
  std::vector<std::shared_ptr<const Image>> images;

  void add(int width, int height, std::vector<Object> objects) {
    Image image(width, height);
    const auto number = static_cast<uint8_t>(40 * images.size());
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        image.pixel(x, y)[0] = static_cast<uint8_t>(x);
        image.pixel(x, y)[1] = static_cast<uint8_t>(y);
        image.pixel(x, y)[2] = number;
      }
    images.push_back(std::make_shared<const Image>(std::move(image)));
    data.samples.push_back({fmt::format("{}", images.size()), "", width, height, std::move(objects)});
  }

  AugmentedImage augmented(const AugmentOptions& options, uint64_t seed, int sample = 0,
                           int epoch = 0) const {
    return augment(options, seed, epoch, sample, data, *images[static_cast<size_t>(sample)],
                   [this](int other) { return images[static_cast<size_t>(other)]; });
  }
};

inline Ramps four_ramps() {
  Ramps ramps;
  ramps.add(240, 180, {{{30, 40, 110, 100}, 1}, {{150, 90, 220, 170}, 1}});
  ramps.add(100, 200, {{{20, 50, 80, 150}, 2}});
  ramps.add(90, 64, {{{10, 8, 40, 50}, 3}});
  ramps.add(250, 250, {{{100, 100, 160, 190}, 4}});
  return ramps;
}

}  // namespace rcnn::fixtures
