// Which of two detectors is better, and how sure the images make that.
//
// The interval of a difference is a paired bootstrap over images (Efron, "Bootstrap Methods: Another Look at
// the Jackknife", Annals of Statistics 1979; Efron and Tibshirani, "An Introduction to the Bootstrap", 1993,
// chapter 13). As many images as there are are drawn with replacement, a thousand times. Both detectors are
// evaluated on each draw, which is the same for both, and the interval reaches from the 2.5 % to the 97.5 %
// quantile of the differences. Images are drawn, and not objects, because the objects of an image are not
// independent.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "eval/diagnosis.h"
#include "eval/weighted_figures.h"

namespace rcnn {

/// A figure of the two detectors A and B.
struct Difference {
  double a = std::numeric_limits<double>::quiet_NaN(), b = a;  // NaN: no object counts for the figure
  /// The 95 % interval of b - a. NaN if too few images have objects that count.
  double low = a, high = a;

  bool has_interval() const { return low <= high; }
  bool b_is_better() const { return low > 0; }
  bool a_is_better() const { return high < 0; }
  /// Whether the two do not differ on these images, nor on any draw of them.
  bool is_equal() const { return a == b && !(low < 0) && !(high > 0); }
  /// One or two words: "A", "B", "equal", "undecided", "too few images", "no objects".
  std::string better() const;
};

/// With fewer images there is no interval. If five images all favour one of two equal detectors, as happens
/// by chance once in 16 times, every draw favours it too, and an interval would exclude 0. Six images all do
/// so once in 32 times.
inline constexpr size_t kMinComparedImages = 6;
inline constexpr int kResamples = 1000;

struct Comparison {
  size_t images = 0;
  std::vector<Difference> figures;  // in the order of kComparedFigures
  std::vector<Difference> classes;  // average precision (area) at an IoU of .5 of label l at l - 1

  /// What either shows on each image at its own recommended confidence thresholds (eval/diagnosis.h), which
  /// are those of these images.
  std::vector<JudgedImage> a, b;
  /// The images on which B makes more and fewer errors (missed objects and wrong detections) than A, the
  /// largest differences first.
  std::vector<int> lost, won;
};

/// The number of missed objects and wrong detections.
inline size_t errors_of(const JudgedImage& image) { return image.missed.size() + image.wrong.size(); }

/// `annotations` are the objects of the dataset in COCO's form. The result depends on the seed, and not on
/// the number of threads. Throws Error for a detection outside of the dataset or whose score is NaN.
Comparison compare(const Findings& a, const Findings& b, const Dataset& dataset,
                   const std::vector<CocoAnnotation>& annotations, uint64_t seed = 0);

/// One sentence on what the interval of the first figure says.
std::string verdict(const Comparison& comparison);
/// One sentence on how many images either wins.
std::string images_sentence(const Comparison& comparison);
/// "+0.0123", "0.0000"; "-" for NaN.
std::string signed_figure(double value, int digits = 4);

/// The tables and the sentences, in lines of at most 100 columns.
std::string comparison_text(const Comparison& comparison, const Dataset& dataset);

/// The same for programs.
nlohmann::ordered_json to_json(const Comparison& comparison, const Dataset& dataset);

}  // namespace rcnn
