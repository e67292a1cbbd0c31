// COCO's twelve figures for boxes: average precision and recall over ten overlaps, three sizes of objects and
// three lengths of the list of detections (Lin et al., "Microsoft COCO", ECCV 2014; the rules in detail are
// those of the program that everybody compares with, COCOeval of pycocotools).
//
// Of the detections of a class in an image the 100 best count. From the best down, each takes the truth that
// it overlaps most, if by the threshold or more and nobody has it: right. Without one it is wrong. Crowds,
// and objects outside the range of sizes asked for, are ignored: who takes one is neither right nor wrong,
// and they are looked at only where no other truth is left. A crowd can be taken any number of times, and its
// overlap is the share of the detection that lies in it. A detection that takes nothing is wrong only if its
// own area is in the range.
//
// The list of a class over all images, best first, gives a curve: precision at a recall is the best at that
// recall or a larger one, and average precision is the mean of it at recalls 0, .01, ..., 1. Recall is that
// at the list's end. A figure is the mean over the thresholds, then over the classes that have objects.
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

/// Each from 0 to 1, or -1 where no object is asked for. Recalls are means over IoU .50 to .95 as well.
struct CocoFigures {
  double ap = -1, ap50 = -1, ap75 = -1, ap_small = -1, ap_medium = -1, ap_large = -1;
  double ar1 = -1, ar10 = -1, ar100 = -1, ar_small = -1, ar_medium = -1, ar_large = -1;
};

struct CocoFigureName {
  const char* key;    // as the literature has it, and our JSON files
  const char* words;  // for people
  double CocoFigures::*value;
};

/// The figures in COCO's order.
inline constexpr std::array<CocoFigureName, 12> kCocoFigures{{
    {"AP", "average precision, mean over IoU .50 to .95", &CocoFigures::ap},
    {"AP50", "average precision at IoU .50", &CocoFigures::ap50},
    {"AP75", "average precision at IoU .75", &CocoFigures::ap75},
    {"APs", "average precision, objects up to 32 x 32 pixels", &CocoFigures::ap_small},
    {"APm", "average precision, 32 x 32 to 96 x 96 pixels", &CocoFigures::ap_medium},
    {"APl", "average precision, from 96 x 96 pixels on", &CocoFigures::ap_large},
    {"AR1", "recall of the best detection of each class and image", &CocoFigures::ar1},
    {"AR10", "recall of the best 10", &CocoFigures::ar10},
    {"AR100", "recall of the best 100", &CocoFigures::ar100},
    {"ARs", "recall, objects up to 32 x 32 pixels", &CocoFigures::ar_small},
    {"ARm", "recall, 32 x 32 to 96 x 96 pixels", &CocoFigures::ar_medium},
    {"ARl", "recall, from 96 x 96 pixels on", &CocoFigures::ar_large},
}};

struct CocoScores {
  CocoFigures mean;                            // over the categories, each figure where it is not -1
  std::map<int64_t, CocoFigures> by_category;  // those that have annotations, by their numbers
};

/// Equal scores are taken by image number, then in the order of `results`. Results in categories or images
/// without annotations are wrong where their category has any elsewhere, and leave no trace otherwise; so
/// images need not be listed. All in double: agrees with pycocotools 2.0.11 to 1e-12, except that there an
/// annotation with the id 0 counts as missed when it is found. Throws Error for a score that is NaN.
CocoScores evaluate_coco(const std::vector<CocoAnnotation>& annotations,
                         const std::vector<CocoResult>& results);

// ---- our own data sets

/// A dataset's objects as COCO's annotations. Images and categories have COCO's numbers, else their index and
/// their label. `difficult` becomes `ignore`.
std::vector<CocoAnnotation> coco_annotations(const Dataset& dataset);

/// Detections on a dataset as results, with the same numbers.
std::vector<CocoResult> coco_results(const std::vector<Detection>& detections, const Dataset& dataset);

/// The way back. Results in images or categories that the dataset lacks are left out.
std::vector<Detection> detections_of(const std::vector<CocoResult>& results, const Dataset& dataset);

/// What the sample ids and class names in a results file stand for, as `write_detections` writes them.
CocoNumbers coco_numbers(const Dataset& dataset);

inline CocoScores evaluate_coco(const std::vector<Detection>& detections, const Dataset& dataset) {
  return evaluate_coco(coco_annotations(dataset), coco_results(detections, dataset));
}

/// The twelve as lines of a table for the terminal.
std::string coco_table(const CocoFigures& figures);

}  // namespace rcnn
