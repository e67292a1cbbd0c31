// What became of every object and of every detection on one image, in a sentence each: the place in the
// detector where it was decided, with the numbers that decided it. The causes are those of the diagnosis
// (eval/diagnosis.h), which is asked; what is added is where exactly an object was lost.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "eval/diagnosis.h"
#include "eval/stages.h"

namespace rcnn {

/// Where it was decided whether an object is found, from the last stage to the first.
enum class Fate {
  found,            // a right detection is shown
  not_counted,      // difficult or a crowd region: it need not be found
  poorly_placed,    // MissCause::poorly_placed
  wrong_class,      // MissCause::wrong_class
  low_score,        // MissCause::low_score, below the confidence threshold
  dropped,          // MissCause::low_score, so low that the head made no box of it
  lost_in_nms,      // MissCause::lost_in_nms: suppressed by another detection
  over_detections,  // MissCause::lost_in_nms: after the last detection wanted
  // MissCause::not_proposed; of its boxes, the one that came furthest was
  over_proposals,   // after the last proposal wanted
  lost_in_rpn_nms,  // suppressed by another proposal
  left_out,         // too small, or with too low an objectness
  below_top_k,      // not among the best k of its level
  no_box            // there was none: the network moved no anchor to where it overlaps the object enough
};
inline constexpr int kFates = 13;
/// "found", "not counted", "poorly placed", "below the top k", ...
std::string_view name_of(Fate fate);
/// The setting with which the fate could change, as an option ("--rpn-nms-thresh"); empty for `found`.
std::string_view setting_for(Fate fate);
/// Whether that setting is one of `rcnn train`, which the model keeps: a command that uses the model takes it
/// from there. The others are options of `rcnn detect`, `explain` and `eval`.
bool is_of_training(Fate fate);
/// The cause that the diagnosis gives for a missed object with this fate.
MissCause cause_of(Fate fate);

/// What became of an object.
struct ObjectStory {
  int object = 0;  // index
  Fate fate = Fate::no_box;
  std::string sentence;
  int best_anchor = -1;  // the anchor that overlaps it most, whatever the network made of it
  float anchor_overlap = 0;
  /// The boxes that explain the fate, as indices into the lists of Stages; -1: none.
  int anchor = -1, proposed = -1, classified = -1;
  int detection = -1;  // the place of the detection that found it, or was taken for it
  /// Only with the fate wrong_class: the place of the best detection that would find it, but is below the
  /// confidence threshold; -1: none. What is shown on the object explains the miss for the diagnosis, but
  /// with a lower threshold it would be found.
  int below = -1;
};
/// The setting with which the object's fate could change, and whether it is one of `rcnn train`: those of its
/// fate, or --score if a detection of it is below the threshold.
std::string_view setting_for(const ObjectStory& story);
bool is_of_training(const ObjectStory& story);

/// How a detection came about.
struct DetectionStory {
  int detection = 0;    // its place among the detections, best first
  bool shown = false;   // its score reaches the threshold
  std::string verdict;  // "right: IoU .81 with object 1", "false positive: background"; empty without objects
  std::string sentence;
  int suppressed = 0;  // boxes of its class that it suppressed
};

struct Biographies {
  std::vector<ObjectStory> objects;
  std::vector<DetectionStory> detections;
};

/// The stages' results as the diagnosis reads them.
std::vector<Detection> detections_of(const Stages& stages);
Trace trace_of(const Stages& stages);
/// "P3" for the level with a cell for every 8 pixels; "C4" if there is only one level, with 16.
std::string level_name(const Stages& stages, size_t level);
/// A number between 0 and 1 with two decimals, or as many as wanted; ".93", "1.00".
std::string share(double value, int digits = 2);
/// Two numbers that a sentence compares: with as many digits, up to 5, as it takes to see which is larger.
struct Compared {
  std::string a, b;
};
Compared compared(double a, double b);
/// "14x40"
std::string extent(const Box& box);

/// `objects` are in pixels of the image, `thresholds` has the confidence threshold of each of the `classes`.
/// `judged` is false if the objects are not known: then only the detections' stories are told.
Biographies tell_biographies(const Stages& stages, const ModelConfig& config,
                             const std::vector<Object>& objects, const std::vector<std::string>& classes,
                             const std::vector<float>& thresholds, bool judged = true);

/// Adds to each of the worst images, at most 20, what became of the objects that are missed on it, at the
/// thresholds of the diagnosis. Only these images are detected once more, because the stages of an image take
/// too much memory to be kept for all until it is known which are the worst. Images whose proposals were
/// given are left as they are.
void tell_worst(Context& ctx, FasterRcnn& model, const Dataset& dataset, Diagnosis& diagnosis);

}  // namespace rcnn
