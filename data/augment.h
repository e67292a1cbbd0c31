// Random changes of a training image together with its boxes.
//
// Every choice is keyed by (seed, epoch, sample): a batch is the same whoever loads it, and in a resumed run.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"

namespace rcnn {

struct AugmentOptions {
  bool flip_horizontal = false;  // each image with probability 1/2
  bool flip_vertical = false;    // likewise
  /// The image is resized to the network's size times a factor, log-uniform in [1 / (1 + s), 1 + s].
  float scale_jitter = 0;
  /// Brightness, contrast and saturation times factors uniform in [1 - c, 1 + c], the hue turned by at most
  /// c / 10 of the circle.
  float colour_jitter = 0;
  float crop = 0;    // probability that only a part of the image is taken
  float mosaic = 0;  // probability that four images share the place of one
};

struct AugmentedImage {
  Image image;
  std::vector<Object> objects;
  float scale = 1;  // of the network's size; see AugmentOptions::scale_jitter
};

/// Decoded pixels of another sample of the dataset, for mosaics; null where it cannot be decoded.
using FetchImage = std::function<std::shared_ptr<const Image>(int sample)>;

/// Sample number `sample` of `dataset`, whose pixels are `image`, as it looks in epoch `epoch`. A crop keeps
/// the boxes whose centres it holds, clipped to it, and at least one where there is any.
AugmentedImage augment(const AugmentOptions& options, uint64_t seed, int epoch, int sample,
                       const Dataset& dataset, const Image& image, const FetchImage& fetch);

}  // namespace rcnn
