// Random changes of a training image together with its boxes.
//
// Every choice is keyed by (seed, epoch, sample): a batch does not depend on the thread that loads it, and is
// the same in a resumed run.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"

namespace rcnn {

/// The changes in the order in which they are applied. Each has its own random numbers, so that turning one
/// on does not alter the others. With all of them off, the image stays as it is.
struct AugmentOptions {
  /// Probability of a mosaic of four images: this one and three others of the dataset fill the quadrants
  /// around a random centre, each scaled to cover its quadrant and cut off at its border. The canvas has the
  /// size of this image. Boxes are clipped; a box that keeps less than a fifth of its area is dropped.
  float mosaic = 0;
  /// Probability of a crop: the same share of each side, from half to all, so that the aspect ratio, and with
  /// it the shape of the batch, does not change.
  float crop = 0;
  bool flip_horizontal = false;  // each image with probability 1/2
  bool flip_vertical = false;    // likewise
  /// 0 <= c <= 1: brightness, contrast and saturation are multiplied by factors uniform in [1 - c, 1 + c],
  /// and the hue is turned by at most c / 10 of the circle; see change_colours.
  float colour_jitter = 0;
  /// 0 <= s <= 1: the image is resized to the network's size times a factor, which is log-uniform in
  /// [1 / (1 + s), 1 + s] and takes one of kScaleSteps values.
  float scale_jitter = 0;
};

/// There are few sizes, because oneDNN's primitives and CUDA graphs are built once per shape. The number is
/// odd, so that one of them is the size without jitter.
inline constexpr int kScaleSteps = 7;

struct AugmentedImage {
  Image image;
  std::vector<Object> objects;
  float scale = 1;                                 // of the network's size; see AugmentOptions::scale_jitter
  std::optional<std::vector<Box>> proposals = {};  // moved like the objects; empty if the sample has none
};

/// The decoded pixels of another sample of the dataset, for mosaics. Null if it cannot be decoded: this image
/// then takes its place.
using FetchImage = std::function<std::shared_ptr<const Image>(int sample)>;

/// Sample number `sample` of `dataset`, whose pixels are `image`, as it looks in epoch `epoch`. A crop keeps
/// the boxes whose centres lie in it, clipped to it. If the image has an object to train on, the crop keeps
/// at least one; if several attempts fail, the image stays whole. What is left of a box measures at least one
/// pixel along each side. Ignored objects and proposals are moved like the others. `fetch` is called only for
/// mosaics.
AugmentedImage augment(const AugmentOptions& options, uint64_t seed, int epoch, int sample,
                       const Dataset& dataset, const Image& image, const FetchImage& fetch);

/// Throws InputError naming the option if one is out of range.
void check_options(const AugmentOptions& options);

}  // namespace rcnn
