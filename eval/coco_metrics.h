// COCO's twelve metrics for boxes: average precision and recall for ten IoU thresholds, three ranges of
// object sizes and three limits on the number of detections (Lin et al., "Microsoft COCO", ECCV 2014). The
// detailed rules are those of the reference implementation, COCOeval of pycocotools.
//
// The 100 best detections of each class and image count. In order of descending score, each detection is
// matched to the truth that it overlaps most, among those that are not matched yet and that it overlaps by
// the IoU threshold or more. A detection with a match is right, one without is wrong. Crowds, and objects
// outside the range of sizes, are ignored: a detection matched to one of them is neither right nor wrong, and
// they are considered only if no other truth matches. A crowd can be matched any number of times, and its
// overlap is the share of the detection that lies in it. A detection without a match is wrong only if its own
// area is in the range of sizes.
//
// The detections of a class over all images, best first, give a precision-recall curve: the precision at a
// recall is the best precision at that recall or a larger one, and average precision is its mean at recalls
// 0, .01, ..., 1. Recall is the recall at the end of the list. Each metric is the mean over the thresholds,
// then over the classes that have objects.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/coco.h"
#include "data/dataset.h"
#include "eval/average_precision.h"

namespace rcnn {

/// Each metric is from 0 to 1, or -1 if there are no objects that count for it. Recalls, too, are means over
/// IoU .50 to .95.
struct CocoFigures {
  double ap = -1, ap50 = -1, ap75 = -1, ap_small = -1, ap_medium = -1, ap_large = -1;
  double ar1 = -1, ar10 = -1, ar100 = -1, ar_small = -1, ar_medium = -1, ar_large = -1;
};

struct CocoFigureName {
  const char* key;    // the name used in the literature and in our JSON files
  const char* words;  // the description shown to users
  double CocoFigures::*value;
};

/// The metrics in COCO's order.
inline constexpr std::array<CocoFigureName, 12> kCocoFigures{{
    {"AP", "average precision, mean over IoU .50 to .95", &CocoFigures::ap},
    {"AP50", "average precision at IoU .50", &CocoFigures::ap50},
    {"AP75", "average precision at IoU .75", &CocoFigures::ap75},
    {"APs", "average precision, small: up to 32 x 32 pixels", &CocoFigures::ap_small},
    {"APm", "average precision, medium: 32 x 32 to 96 x 96", &CocoFigures::ap_medium},
    {"APl", "average precision, large: 96 x 96 pixels or more", &CocoFigures::ap_large},
    {"AR1", "average recall, 1 detection per class and image", &CocoFigures::ar1},
    {"AR10", "average recall, 10 detections per class and image", &CocoFigures::ar10},
    {"AR100", "average recall, 100 detections per class and image", &CocoFigures::ar100},
    {"ARs", "average recall, small: up to 32 x 32 pixels", &CocoFigures::ar_small},
    {"ARm", "average recall, medium: 32 x 32 to 96 x 96", &CocoFigures::ar_medium},
    {"ARl", "average recall, large: 96 x 96 pixels or more", &CocoFigures::ar_large},
}};

struct CocoScores {
  CocoFigures mean;                            // over the categories in which the metric is not -1
  std::map<int64_t, CocoFigures> by_category;  // the categories that have annotations, by category number
};

/// Results of equal score are ordered by image number, then as in `results`. A result in an image without
/// annotations is wrong if its category has annotations in other images; a result in a category without any
/// is left out. Images therefore need not be listed. Computes in double and agrees with pycocotools 2.0.11 to
/// 1e-12, except that pycocotools counts an annotation with the id 0 as missed even when it is found. Throws
/// Error for a score that is NaN.
CocoScores evaluate_coco(const std::vector<CocoAnnotation>& annotations,
                         const std::vector<CocoResult>& results);

// ---- conversions from and to our datasets

/// The objects of a dataset as COCO annotations. Images and categories keep COCO's numbers if they have them;
/// otherwise the numbers are the image's index and the label. `difficult` becomes `ignore`.
std::vector<CocoAnnotation> coco_annotations(const Dataset& dataset);

/// The detections on a dataset as COCO results, with the same numbers.
std::vector<CocoResult> coco_results(const std::vector<Detection>& detections, const Dataset& dataset);

/// The inverse of `coco_results`. Results in images or categories that the dataset lacks are left out.
std::vector<Detection> detections_of(const std::vector<CocoResult>& results, const Dataset& dataset);

/// The numbers of the sample ids and class names that `write_detections` writes into a results file.
CocoNumbers coco_numbers(const Dataset& dataset);

inline CocoScores evaluate_coco(const std::vector<Detection>& detections, const Dataset& dataset) {
  return evaluate_coco(coco_annotations(dataset), coco_results(detections, dataset));
}

/// The twelve metrics as a table for the terminal, one line each.
std::string coco_table(const CocoFigures& figures);

}  // namespace rcnn
