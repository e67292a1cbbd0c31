// The matching behind COCO's metrics, for one category: which detections are right or wrong at each IoU
// threshold. eval/coco_metrics.h has the rules.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "data/coco.h"

namespace rcnn {

inline constexpr size_t kCocoThresholds = 10;   // IoU .50, .55, ..., .95
inline constexpr size_t kCocoDetections = 100;  // the best of each category and image are matched
inline constexpr int kCocoRecalls = 101;        // 0, .01, ..., 1

/// The point of recall with this index. It rounds as numpy.linspace does, so that whether a recall of exactly
/// 7/100 reaches the point .07 is decided as in pycocotools.
double coco_recall_point(int index);

/// Ranges of areas: all, up to 32^2, 32^2 to 96^2, and from 96^2 square pixels. Both ends are included.
enum class CocoArea { all, small, medium, large };

/// The truths and detections of one category in one image. `overlaps` is (found, truths).
struct CocoScene {
  std::vector<const CocoAnnotation*> truths;
  std::vector<const CocoResult*> found;  // best first and at most kCocoDetections, once prepared
  std::vector<double> overlaps;
};

using CocoScenes = std::map<int64_t, CocoScene>;  // by image number

/// The scenes of the categories that have annotations, by category number. They point into the arguments.
/// Throws Error for a score that is NaN.
std::map<int64_t, CocoScenes> coco_scenes(const std::vector<CocoAnnotation>& annotations,
                                          const std::vector<CocoResult>& results);

/// Sorts the detections and computes the overlaps; to be called once before `match_coco`.
void prepare(CocoScenes& scenes);

/// Whether a detection is right or wrong, with one bit per threshold; neither if it is ignored.
struct CocoMatch {
  double score = 0;
  int64_t image = 0;
  size_t place = 0;  // its rank among the detections of its category and image, from 0
  std::bitset<kCocoThresholds> right, wrong;
};

struct CocoMatches {
  std::vector<std::pair<int64_t, int64_t>> truths;  // image number, and its truths that are not ignored
  std::vector<CocoMatch> found;                     // best first

  int64_t asked() const;  // the number of all these truths
};

/// Matches prepared scenes for one range of areas.
CocoMatches match_coco(const CocoScenes& scenes, CocoArea area);

}  // namespace rcnn
