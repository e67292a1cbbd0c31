// Diagnosis of a detector: which errors it makes, and why. The report shows it.
//
// A detection is right (a true positive) when it overlaps an object of its class by IoU .5 or more and is the
// first to do so in order of score; eval/matching.h has the exact rule. Ignored objects (difficult or crowd)
// do not need to be found, and a detection that belongs to one of them is left out of the diagnosis.
//
// Each class has a recommended confidence threshold, the one with the largest F1. Detections that reach the
// threshold of their class are "shown". Objects for which no shown detection is right are "missed" (false
// negatives). The causes of misses follow Hoiem, Chodpathumwan and Dai (ECCV 2012) and TIDE (Bolya et al.,
// ECCV 2020), but explain objects instead of detections.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "eval/average_precision.h"
#include "eval/confusion.h"

namespace rcnn {

/// Precision, recall and F1 of the detections that reach a confidence threshold, for 0, .01, ..., 1:
///
///     precision = right / found     recall = right / objects     F1 = 2 right / (found + objects)
///
/// with found = right + wrong. Precision is 1 if nothing is found, and recall is 0 if there are no objects.
struct ScoreCurve {
  std::vector<float> score, precision, recall, f1;
  /// The recommended threshold is where F1 is largest; in case of a tie, at the lowest scores. It lies midway
  /// between the worst detection that it keeps and the best one that it drops, because the scores on other
  /// images differ a little. It is .5 if F1 is never above 0.
  float best_score = 0.5f, best_f1 = 0;
};

/// Why an object was missed. "Its boxes" are the boxes of its class that overlap it more than any other
/// object of that class. The cause is the first that holds of wrong_class, poorly_placed, lost_in_nms,
/// low_score and not_proposed: a shown detection explains a miss better than one that is not shown, and a box
/// that reached a late stage of the detector had also passed the earlier ones. Without traces nothing is
/// known of the earlier stages: a miss that no detection explains is then not_detected.
enum class MissCause {
  not_proposed,   // none of the others
  low_score,      // one of its boxes overlaps it enough but scores too low, or a proposal overlaps it enough
  lost_in_nms,    // one of its boxes before NMS overlaps it enough and reaches the threshold of its class
  wrong_class,    // the confusion matrix pairs it with a shown detection of another class
  poorly_placed,  // localisation error: one of its boxes is shown, with an IoU in [.1, .5)
  not_detected,   // none of those that detections alone can show
};
inline constexpr int kMissCauses = 6;
/// "not proposed", "low score", ... These names are also keys in summary.json.
std::string_view name_of(MissCause cause);
/// What the cause means and what to try, in one or two sentences.
std::string_view advice_for(MissCause cause);

/// Why a shown detection is wrong, by TIDE's kinds of errors. "Overlap" is the IoU with the object that the
/// detection overlaps most; the kind is the first that holds.
enum class FalsePositive {
  wrong_class,            // the confusion matrix pairs it with an object of another class, or it overlaps one
                          // by .5 or more without being a duplicate
  duplicate,              // it overlaps an object of its class by .5 or more that another detection has found
  poorly_placed,          // localisation error: it overlaps an object of its class by [.1, .5)
  wrong_class_and_place,  // it overlaps an object of another class by [.1, .5)
  background,             // none of the others: there is no object
};
inline constexpr int kFalsePositives = 5;
/// "wrong class", "duplicate", ... These names are also keys in summary.json.
std::string_view name_of(FalsePositive kind);
/// What the kind means and what to try, in one or two sentences.
std::string_view advice_for(FalsePositive kind);

/// COCO's sizes, by area in the original image: small is below 32^2 pixels, large is 96^2 pixels or more.
enum class ObjectSize { small, medium, large };
/// "small", "medium", "large"
std::string_view name_of(ObjectSize size);

struct Miss {
  int image = 0, object = 0;  // indices into samples and objects
  ObjectSize size = ObjectSize::medium;
  MissCause cause = MissCause::not_proposed;
};

struct WrongDetection : Detection {
  FalsePositive kind = FalsePositive::background;
};

/// An image with the errors in it at the recommended thresholds.
struct JudgedImage {
  int image = 0;
  double badness = 0;                 // the number of missed objects plus the scores of the wrong detections
  std::vector<Miss> missed;           // objects that are not found
  std::vector<WrongDetection> wrong;  // shown detections that are wrong, best first
  std::vector<Detection> right;       // shown detections that are right
  /// "2 of 5 RBC missed (not proposed)", "background detected as WBC (score 0.93)"
  std::vector<std::string> reasons;
  /// What became of each of `missed`, in their order, if tell_worst (eval/biography.h) was asked.
  std::vector<std::string> stories = {};
};

/// The objects that count and the shown detections, in total. found + missed = objects, and
/// found + false_positives = the shown detections.
struct Tally {
  int64_t objects = 0, found = 0, false_positives = 0;
};

struct Diagnosis {
  ScoreCurve all;                   // over all classes (micro average), with one threshold for all
  std::vector<ScoreCurve> classes;  // the curve of label l is at l - 1
  /// The confusion matrix of shown detections and objects, confusion[truth][found]. Label 0 is the
  /// background: column 0 counts objects that no detection is paired with, row 0 counts detections that are
  /// paired with no object. First, each right detection is paired with its object. Then each wrong detection,
  /// best score first, is paired with the object of another class that it overlaps most, among the objects
  /// that are not paired yet and that it overlaps by IoU .5 or more. Each row but the first therefore sums to
  /// the number of objects of the class, each column but the first to its shown detections, and the diagonal
  /// counts the right ones.
  Confusion confusion;
  std::vector<Miss> misses;  // at the recommended thresholds, by image and object
  std::array<std::array<int64_t, kMissCauses>, 3> misses_by_size{};  // [size][cause]
  std::array<int64_t, 3> objects_by_size{};
  std::array<int64_t, kFalsePositives> false_positives{};
  std::vector<JudgedImage> worst;  // worst first, at most 20, only images with errors, unless all are wanted
  /// Up to three images with objects that are found and as few errors for them as possible, those with most
  /// objects first; among images without errors, those with different classes.
  std::vector<JudgedImage> good;
  std::vector<JudgedImage> examples;  // up to 8 images with objects, spread over the dataset
};

/// `traces` has one entry per sample, or is empty: then only the causes are given that detections alone show.
/// `worst` has all images if `every_image` is true. Throws Error for a detection whose image or label is out
/// of range or whose score is NaN.
Diagnosis diagnose(const std::vector<Detection>& detections, const std::vector<Trace>& traces,
                   const Dataset& dataset, bool every_image = false);

Tally tally(const Diagnosis& diagnosis);

/// The recommended threshold of each class; NaN for a class of which nothing was found.
std::vector<float> recommended_confidence(const Diagnosis& diagnosis);

inline constexpr size_t kMaxDenseClasses = 200;
/// The objects found and the false positives by kind, the recommended thresholds with their precision, recall
/// and F1, the confusion matrix (with more than kMaxDenseClasses classes its cells that are not 0), and the
/// misses by size and cause, for summary.json. "not detected" is left out where there is no such miss.
nlohmann::ordered_json to_json(const Diagnosis& diagnosis, const Dataset& dataset);

}  // namespace rcnn
