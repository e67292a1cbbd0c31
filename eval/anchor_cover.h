// How well the anchors of a model cover the boxes of a dataset.
#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"
#include "kernels/boxes/box_math.h"
#include "models/config.h"

namespace rcnn {

struct InputBox {
  Box box;
  int label;
};

/// The boxes that a training step would see of a sample, in pixels of the network's input; without the
/// ignored ones.
std::vector<InputBox> input_boxes(const Sample& sample, const ModelConfig& config);

/// Square roots of the areas of all of them, ascending.
std::vector<float> box_sizes(const Dataset& dataset, const ModelConfig& config);

/// The anchors of a model's levels, wherever an image has them.
class AnchorCover {
 public:
  /// `strides` are those of the levels, finest first. Throws InputError where `config` has anchor sizes for
  /// another number of levels.
  AnchorCover(const ModelConfig& config, const std::vector<int64_t>& strides);

  /// The best overlap (IoU) of a box with any anchor on an image that has this size after resizing and no
  /// other beside it in its batch.
  float best_overlap(const Box& box, int64_t height, int64_t width) const;

 private:
  struct Level {
    int64_t stride;
    std::vector<Box> cell;  // the anchors around the origin
  };
  std::vector<Level> levels_;
  int64_t divisible_;
};

/// Of each box that is not ignored the best overlap with any anchor, ascending.
std::vector<float> anchor_overlaps(const Dataset& dataset, const ModelConfig& config,
                                   const std::vector<int64_t>& strides);

/// The share of them below .5.
double poorly_covered(const std::vector<float>& ascending_overlaps);

}  // namespace rcnn
