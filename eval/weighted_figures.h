// Figures of a detector in which each image counts a given number of times.
//
// Detections are matched to objects image by image, so the matching is done once. What the weights change is
// how often each match and each object counts in the precision-recall curve.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "eval/coco_matching.h"
#include "eval/matching.h"

namespace rcnn {

/// A detector's detections on a dataset, and the same in COCO's numbers: those of a results file are kept in
/// double precision.
struct Findings {
  std::vector<Detection> detections;
  std::vector<CocoResult> results;
};

struct ComparedFigure {
  const char* key;    // in JSON files, as elsewhere
  const char* words;  // shown to users
};

inline constexpr std::array<ComparedFigure, 7> kComparedFigures{{
    {"map50", "mAP@.5"},
    {"AP", "COCO AP, IoU .50 to .95"},
    {"AP50", "COCO AP at IoU .50"},
    {"AR100", "COCO AR, 100 detections"},
    {"APs", "COCO AP, small objects"},
    {"APm", "COCO AP, medium objects"},
    {"APl", "COCO AP, large objects"},
}};

class WeightedFigures {
 public:
  /// Throws Error for a detection outside of the dataset, or whose score is NaN.
  WeightedFigures(const Findings& found, const Dataset& dataset,
                  const std::vector<CocoAnnotation>& annotations);

  /// kComparedFigures, then the average precision (area) at an IoU of .5 of each class. NaN if no object
  /// counts for a figure. `weights` has one entry per image. With weights of 1, these are the figures of
  /// evaluate_voc and evaluate_coco, bit for bit.
  ///
  /// An image of weight w counts like w copies of it, except that the copies of detections with equal scores
  /// in one image stay together.
  std::vector<double> at(std::span<const uint32_t> weights) const;

  /// For each of these figures, the number of images with objects that count for it.
  std::vector<size_t> images_with_objects() const;

 private:
  /// The number of objects in the images that have some.
  using Truths = std::vector<std::pair<uint32_t, uint32_t>>;
  /// Detections that count, best first: twice the index of the image, plus 1 if the detection is right.
  using Ranking = std::vector<uint32_t>;

  struct OfClass {  // by the rule of VOC
    Truths truths;
    Ranking found;
  };
  struct OfArea {  // by COCO's rule
    Truths truths;
    std::array<Ranking, kCocoThresholds> found;
  };
  using OfCategory = std::array<OfArea, 4>;  // by CocoArea

  void add_voc(const Findings& found, const Dataset& dataset);
  void add_coco(const Findings& found, const Dataset& dataset,
                const std::vector<CocoAnnotation>& annotations);

  std::vector<OfClass> classes_;
  std::vector<OfCategory> categories_;
};

}  // namespace rcnn
