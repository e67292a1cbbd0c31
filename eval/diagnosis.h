// What a detector gets wrong, and why: for the report, and for whoever wants to make it better.
//
// A detection is right when it overlaps an object of its class by IoU .5 or more and is the first to do so in
// order of score; eval/matching.h has the rule. Ignored objects (difficult, crowd) are neither asked for nor
// held against a detection: one that is ignored for their sake appears nowhere here.
//
// Each class has a recommended score, that of its largest F1. "Shown" are the detections that reach the
// recommended score of their class, "missed" the objects for which no shown detection is right. Causes of
// misses follow Hoiem, Chodpathumwan and Dai (ECCV 2012) and TIDE (Bolya et al., ECCV 2020), seen from the
// object instead of from the detection.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "eval/average_precision.h"

namespace rcnn {

/// Precision, recall and F1 of the detections with at least a score, for scores 0, .01, ..., 1:
///
///     precision = right / found     recall = right / objects     F1 = 2 right / (found + objects)
///
/// with found = right + wrong. Where nothing is found precision is 1; where there are no objects recall is 0.
struct ScoreCurve {
  std::vector<float> score, precision, recall, f1;
  /// The threshold to recommend: F1 is largest there (of equals the one at the lowest scores), and it stands
  /// in the middle between the worst detection that it keeps and the best that it drops, since on other
  /// images either may score a little differently. .5 where F1 is never above 0.
  float best_score = 0.5f, best_f1 = 0;
};

/// Why an object was missed. "Its" boxes are those of its class that overlap it more than any other object of
/// the class. The first that holds of wrong_class, poorly_placed, lost_in_nms, low_score and not_proposed:
/// what is shown explains a miss better than what is not, and whatever stood at the end of the way was there
/// before.
enum class MissCause {
  not_proposed,   // none of the others
  low_score,      // one of its boxes overlaps it enough but scores too low, or a proposal overlaps it enough
  lost_in_nms,    // one of its boxes before NMS overlaps it enough and has the recommended score of its class
  wrong_class,    // the confusion pairs it with a shown detection of another class
  poorly_placed,  // one of its boxes is shown, with an IoU in [.1, .5)
};
inline constexpr int kMissCauses = 5;
/// "not proposed", "low score", ...
std::string_view name_of(MissCause cause);
/// One sentence: what it means, and what to try.
std::string_view advice_for(MissCause cause);

/// COCO's sizes by area in the original image: small below 32^2 pixels, large from 96^2.
enum class ObjectSize { small, medium, large };
/// "small", "medium", "large"
std::string_view name_of(ObjectSize size);

struct Miss {
  int image = 0, object = 0;  // indices into samples and objects
  ObjectSize size = ObjectSize::medium;
  MissCause cause = MissCause::not_proposed;
};

struct WorstImage {
  int image = 0;
  double badness = 0;            // 1 for each object missed, and the score of each wrong detection
  std::vector<Box> missed;       // objects that were not found at the recommended scores
  std::vector<Detection> wrong;  // detections shown that are not right, best first
  std::vector<Detection> right;  // and those that are
  /// "misses 2 of 5 RBC (not proposed)", "takes background for WBC (score 0.93)"
  std::vector<std::string> reasons;
};

struct Diagnosis {
  ScoreCurve all;                   // over all classes (micro average), at one score for all
  std::vector<ScoreCurve> classes;  // of label l at l - 1
  /// Shown detections against objects: confusion[truth][found], label 0 for the background (an object that
  /// nothing was paired with, a detection of nothing). First each right detection is paired with its object,
  /// then each wrong one, best score first, with the object of another class that it overlaps most among
  /// those not paired yet, if by IoU .5 or more. So a row below the first sums up to the objects of the
  /// class, a column beside the first to the detections shown, and the diagonal is what is right.
  std::vector<std::vector<int64_t>> confusion;
  std::vector<Miss> misses;  // at the recommended scores, by image and object
  std::array<std::array<int64_t, kMissCauses>, 3> misses_by_size{};  // [size][cause]
  std::array<int64_t, 3> objects_by_size{};
  std::vector<WorstImage> worst;  // worst first, at most 20, only images with something wrong
};

/// `traces` holds one entry a sample, or is empty: then a miss that no detection explains is "not proposed".
/// Throws Error for a detection whose image or label is out of range or whose score is NaN.
Diagnosis diagnose(const std::vector<Detection>& detections, const std::vector<Trace>& traces,
                   const Dataset& dataset);

/// Recommended scores with what they give, confusion, misses by size and cause: for summary.json.
nlohmann::ordered_json to_json(const Diagnosis& diagnosis, const Dataset& dataset);

}  // namespace rcnn
