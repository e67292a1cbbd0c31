// What a detector gets wrong, and why: for the report, and for whoever wants to make it better.
//
// A detection is right when it overlaps an object of its class by IoU .5 or more and is the first to do so in
// order of score. Ignored objects (difficult, crowd) are neither asked for nor held against a detection.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "train/average_precision.h"

namespace rcnn {

/// What the detector looked at on its way to the detections of one image; boxes in pixels of the original.
struct Trace {
  std::vector<Box> proposals;
  std::vector<Detection> before_nms;  // every class's box of every proposal with at least the score threshold
};

/// Precision, recall and F1 of the detections with at least a score, for scores 0, .01, ..., 1.
struct ScoreCurve {
  std::vector<float> score, precision, recall, f1;
  float best_score = 0.5f, best_f1 = 0;  // where F1 is largest: the threshold to recommend
};

enum class MissCause { not_proposed, low_score, lost_in_nms, wrong_class, poorly_placed };
inline constexpr int kMissCauses = 5;
/// "not proposed", "low score", ...
std::string_view name_of(MissCause cause);
/// One sentence: what it means, and what to try.
std::string_view advice_for(MissCause cause);

/// COCO's sizes by area in the original image: small below 32^2 pixels, large from 96^2.
enum class ObjectSize { small, medium, large };

struct Miss {
  int image = 0, object = 0;  // indices into samples and objects
  ObjectSize size = ObjectSize::medium;
  MissCause cause = MissCause::not_proposed;
};

struct WorstImage {
  int image = 0;
  double badness = 0;
  std::vector<Box> missed;       // objects that were not found at the recommended thresholds
  std::vector<Detection> wrong;  // detections above them that are not right
  std::vector<Detection> right;  // and those that are
  std::vector<std::string>
      reasons;  // "misses 2 of 5 RBC (not proposed)", "takes background for a WBC, score .93"
};

struct Diagnosis {
  ScoreCurve all;                   // over all classes
  std::vector<ScoreCurve> classes;  // of label l at l - 1
  /// Detections above their class's recommended score against objects, matched by IoU .5 whatever the class:
  /// confusion[truth][found], label 0 for the background (a missed object; a detection of nothing).
  std::vector<std::vector<int64_t>> confusion;
  std::vector<Miss> misses;                                          // at the recommended scores
  std::array<std::array<int64_t, kMissCauses>, 3> misses_by_size{};  // [size][cause]
  std::array<int64_t, 3> objects_by_size{};
  std::vector<WorstImage> worst;  // worst first, at most 20, only images with something wrong
};

/// `traces` holds one entry a sample, or is empty: then a miss that no detection explains is "not proposed".
Diagnosis diagnose(const std::vector<Detection>& detections, const std::vector<Trace>& traces,
                   const Dataset& dataset);

}  // namespace rcnn
