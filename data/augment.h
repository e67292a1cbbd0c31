// Random changes of a training image together with its boxes.
//
// Every choice is keyed by (seed, epoch, sample): a batch is the same whoever loads it, and in a resumed run.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"

namespace rcnn {

/// In the order in which they are applied; each has random numbers of its own, so that switching one on
/// leaves the others as they were. All off: the image as it is.
struct AugmentOptions {
  /// Probability that four images share the place of one: this and three others of the dataset fill the
  /// quadrants around a random centre, each scaled to cover its quadrant and cut off at it. The canvas has
  /// this image's size. Boxes are clipped; those of which less than a fifth of the area is left are dropped.
  float mosaic = 0;
  /// Probability that only a part of the image is taken: half to all of each side, by the same share, so that
  /// the aspect stays, and with it the shape of the batch.
  float crop = 0;
  bool flip_horizontal = false;  // each image with probability 1/2
  bool flip_vertical = false;    // likewise
  /// Brightness, contrast and saturation times factors uniform in [1 - c, 1 + c], the hue turned by at most
  /// c / 10 of the circle; see change_colours. 0 to 1.
  float colour_jitter = 0;
  /// The image is resized to the network's size times a factor, log-uniform in [1 / (1 + s), 1 + s], on
  /// kScaleSteps steps. 0 to 1.
  float scale_jitter = 0;
};

/// Few sizes, because what is kept by shape (oneDNN's primitives, CUDA graphs) is made anew for each; an odd
/// number, so that one of them is the size without jitter.
inline constexpr int kScaleSteps = 7;

struct AugmentedImage {
  Image image;
  std::vector<Object> objects;
  float scale = 1;                                 // of the network's size; see AugmentOptions::scale_jitter
  std::optional<std::vector<Box>> proposals = {};  // likewise moved; none where the sample has none
};

/// Decoded pixels of another sample of the dataset, for mosaics; null where it cannot be decoded: then this
/// image takes its place.
using FetchImage = std::function<std::shared_ptr<const Image>(int sample)>;

/// Sample number `sample` of `dataset`, whose pixels are `image`, as it looks in epoch `epoch`. A crop keeps
/// the boxes whose centres it holds, clipped to it, and at least one that training asks for where there is
/// any; where several tries find none such, the image stays whole. What is left of a box measures at least a
/// pixel along each side. Ignored objects and proposals go along as the others do. `fetch` is called for
/// mosaics alone.
AugmentedImage augment(const AugmentOptions& options, uint64_t seed, int epoch, int sample,
                       const Dataset& dataset, const Image& image, const FetchImage& fetch);

/// Throws InputError, naming the option, where one is out of range.
void check_options(const AugmentOptions& options);

}  // namespace rcnn
