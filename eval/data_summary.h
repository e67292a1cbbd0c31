// What a detector is about to learn from, in figures, and what looks wrong with it.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"
#include "models/config.h"

namespace rcnn {

struct ClassCount {
  std::string name;
  size_t boxes = 0, images = 0;  // boxes that are not ignored, and images with one
};

struct DataSummary {
  std::string split;
  size_t images = 0, without_objects = 0;
  size_t boxes = 0, ignored = 0;    // `boxes` without the ignored ones
  std::vector<ClassCount> classes;  // in the dataset's order
  int least_width = 0, least_height = 0, median_width = 0, median_height = 0, most_width = 0, most_height = 0;
  int64_t short_side = 0;  // with which, and with these anchors, the figures below are
  Levels anchor_sizes;
  /// Square roots of the boxes' areas in pixels of the network's input, ascending.
  std::vector<float> sizes;
  /// Of each box the best overlap (IoU) with any anchor, ascending.
  std::vector<float> anchor_overlaps;
  double poorly_covered = 0;  // share of boxes whose best overlap is below .5
  /// Sentences, each naming what is odd and the setting or the file to change.
  std::vector<std::string> advice;
};

/// `strides` are those of the model's levels, finest first, for where its anchors lie. Throws InputError
/// where `config` has anchor sizes for another number of levels.
DataSummary summarise(const Dataset& dataset, const std::string& split, const ModelConfig& config,
                      const std::vector<int64_t>& strides);

/// The summary as lines of at most 100 columns (a path in the advice may be longer).
std::string summary_text(const DataSummary& summary);
/// Sentences as lines, each behind a mark.
std::string advice_text(const std::vector<std::string>& sentences);
/// `summary_text` on standard output.
void print_summary(const DataSummary& summary);

/// Short side and anchor sizes that suit the boxes of the training images, for those of the two that are
/// wanted; the rest of `config` stays, but for the long side, which grows with the short one. `strides` as
/// above; every level keeps its number of sizes. Without boxes nothing changes.
///
/// Anchor sizes are pixels of the network's input: a checkpoint that keeps them means the same pixels when
/// another short side is asked for later, and is not suited again.
struct SuitedInput {
  bool short_side = true, anchor_sizes = true;
};
void suit_to_data(ModelConfig& config, const Dataset& train, const std::vector<int64_t>& strides,
                  SuitedInput wanted);

}  // namespace rcnn
