// A summary of a dataset before training: its figures, and advice about what looks wrong.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"
#include "models/config.h"

namespace rcnn {

struct ClassCount {
  std::string name;
  size_t boxes = 0, images = 0;  // boxes that are not ignored, and images with at least one of them
};

struct DataSummary {
  std::string split;
  size_t images = 0, without_objects = 0;
  size_t boxes = 0, ignored = 0;    // `boxes` does not include the ignored ones
  std::vector<ClassCount> classes;  // in the dataset's order
  int min_width = 0, min_height = 0, median_width = 0, median_height = 0, max_width = 0, max_height = 0;
  int64_t short_side = 0;  // the figures below hold for this short side and these anchor sizes
  Levels anchor_sizes;
  /// The square roots of the boxes' areas in pixels of the network's input, ascending.
  std::vector<float> sizes;
  /// The best overlap (IoU) of each box with any anchor, ascending.
  std::vector<float> anchor_overlaps;
  double poorly_covered = 0;  // the share of boxes whose best overlap is below .5
  /// Sentences. Each says what looks wrong and names the setting or the file to change.
  std::vector<std::string> advice;
};

/// `strides` are those of the model's levels, finest first; they determine where the anchors lie. Throws
/// InputError if `config` has anchor sizes for a different number of levels.
DataSummary summarise(const Dataset& dataset, const std::string& split, const ModelConfig& config,
                      const std::vector<int64_t>& strides);

/// The summary as lines of at most 100 columns (a path in the advice may be longer).
std::string summary_text(const DataSummary& summary);
/// Sentences as wrapped lines; each sentence begins with a mark.
std::string advice_text(const std::vector<std::string>& sentences);
/// Writes `summary_text` to standard output.
void print_summary(const DataSummary& summary);

/// Sets the short side and the anchor sizes, or one of the two as `wanted` says, to values that suit the
/// boxes of the training images. The long side grows with the short side, every level keeps its number of
/// sizes, and the rest of `config` does not change. Without boxes nothing changes. `strides` are as above.
///
/// Anchor sizes are in pixels of the network's input. The sizes in a checkpoint keep this meaning when
/// another short side is chosen later; they are not suited to the data again.
struct SuitedInput {
  bool short_side = true, anchor_sizes = true;
};
void suit_to_data(ModelConfig& config, const Dataset& train, const std::vector<int64_t>& strides,
                  SuitedInput wanted);

}  // namespace rcnn
