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

/// The boxes of a sample that a training step would see, in pixels of the network's input. Ignored objects
/// are left out.
std::vector<InputBox> input_boxes(const Sample& sample, const ModelConfig& config);

/// The square roots of the areas of all these boxes in a dataset, ascending.
std::vector<float> box_sizes(const Dataset& dataset, const ModelConfig& config);

/// The anchors of all levels of a model, for images of any size.
class AnchorCover {
 public:
  /// `strides` are those of the levels, finest first. Throws InputError if `config` has anchor sizes for a
  /// different number of levels.
  AnchorCover(const ModelConfig& config, const std::vector<int64_t>& strides);

  /// The best overlap (IoU) of a box with any anchor, for an image of this size after resizing that is alone
  /// in its batch.
  float best_overlap(const Box& box, int64_t height, int64_t width) const;

 private:
  struct Level {
    int64_t stride;
    std::vector<Box> cell;  // the anchors around the origin
  };
  std::vector<Level> levels_;
  int64_t divisible_;
};

/// The best overlap (IoU) of each box with any anchor, ascending. Ignored objects are left out.
std::vector<float> anchor_overlaps(const Dataset& dataset, const ModelConfig& config,
                                   const std::vector<int64_t>& strides);

/// The share of these overlaps that are below .5.
double poorly_covered(const std::vector<float>& ascending_overlaps);

}  // namespace rcnn
