// The chapters of an explanation: what they are made of, and the functions that write them, a stage each.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "eval/biography.h"
#include "report/explain.h"
#include "report/explain_drawing.h"

namespace rcnn {

/// A feature map on the host: (h, w, c).
struct HostMap {
  int64_t h = 0, w = 0, c = 0;
  std::vector<float> values;
  const float* at(int64_t y, int64_t x) const { return values.data() + (y * w + x) * c; }
};
/// The only image of a batch of maps (1, h, w, c), or row `row` of (rows, h, w, c).
HostMap host_map(const Tensor& maps, int64_t row = 0);
/// A number of each cell: the mean of the absolute values of its channels.
std::vector<float> strength(const HostMap& map);

/// The box that all chapters follow from its anchor to its detection: that of the best detection (shown and
/// right, if there is one) or, without detections, of the best proposal.
struct Followed {
  int detection = -1, classified = -1;  // -1 if there is no detection
  int proposal = -1, proposed = -1;     // its place, and its row before NMS; -1 if nothing was proposed
  int anchor = 0;
  size_t level = 0;                 // of the anchor
  int64_t y = 0, x = 0, shape = 0;  // the anchor's cell, and its number within the cell
};

/// What all chapters read.
struct Explained {
  Context& ctx;
  FasterRcnn& model;
  ModelConfig settings;  // of this run
  const std::vector<std::string>& classes;
  std::vector<float> thresholds;  // of each class
  const Image& image;
  const std::vector<Object>* objects;  // null: no ground truth
  ImageBatch batch;
  ToImage to_image;
  DetectionStages tensors;
  DetectionTrace trace;
  Stages stages;
  Biographies told;
  Followed followed;

  const ModelConfig& config() const { return settings; }
  float plus_one() const { return settings.whole_pixels ? 1 : 0; }
  bool is_shown(const StageBox& detection) const {
    return detection.score >= thresholds[static_cast<size_t>(detection.group - 1)];
  }
  std::string class_name(int label) const;  // label 0 is "background"
  /// A drawing over the photograph, in pixels of the network's input.
  Drawing on_photo() const;
  /// The score of a box of the head, with so many digits that it is seen whether it reaches its threshold.
  std::string score_text(const StageBox& detection) const {
    return compared(double{detection.score}, double{thresholds[static_cast<size_t>(detection.group - 1)]}).a;
  }
  /// "ring .98", plain text
  std::string named(const StageBox& detection) const {
    return class_name(detection.group) + " " + score_text(detection);
  }
  const StageBox& proposed(int i) const { return stages.proposed[static_cast<size_t>(i)]; }
  const StageBox& classified(int i) const { return stages.classified[static_cast<size_t>(i)]; }
};

/// A picture with its caption (HTML). Small ones stand four in a row, others two.
struct Plate {
  Drawing drawing;
  std::string caption = {};
  bool small = false;
};

/// A function of the source.
struct SourceFunction {
  const char* file = "";
  const char* function = "";
};

struct Chapter {
  std::string id = {}, title = {};
  std::string text = {};   // two or three sentences, HTML
  std::string shape = {};  // of the stage's result, HTML
  SourceFunction source = {};
  std::string paper = {};
  std::vector<Plate> plates = {};
  std::string more = {};  // HTML after the pictures
  nlohmann::ordered_json numbers = {};
};

// In the order of the page; each in a file of its name.
Chapter explain_input(const Explained& of);
Chapter explain_features(const Explained& of);
Chapter explain_anchors(const Explained& of);
Chapter explain_objectness(const Explained& of);
Chapter explain_deltas(const Explained& of);
Chapter explain_rpn_nms(const Explained& of);
Chapter explain_pooling(const Explained& of);
Chapter explain_head(const Explained& of);
Chapter explain_detections(const Explained& of);
Chapter explain_saliency(const Explained& of);
/// Whether `--set` takes this setting.
bool can_be_set(std::string_view key);
/// What a second run on the same photograph changes.
Chapter explain_what_if(const Explained& of, const Explained& other, const WhatIf& what_if);
/// Matching, and losses with their gradients, of a training step on the image. Needs the objects.
std::vector<Chapter> explain_training(const Explained& of);

/// The index of the map that a region, in pixels of the input, is pooled from.
size_t pooled_level(const Explained& of, const Box& region);

/// From this IoU with an object on, a proposal lies on it.
inline constexpr double kOnObject = 0.5;

/// Where the boxes went that were among the best of their levels.
struct NmsCounts {
  int64_t taken = 0, left_out = 0, suppressed = 0, cut = 0, kept = 0;
};
NmsCounts count_nms(const Stages& stages);

/// What a training step on the image computes.
struct TrainingTrace {
  GroundTruth truth;
  std::vector<int> object;  // of each ground truth, its index in `Explained::objects`
  Samples samples;
  LossStages stages;
  Losses losses;
  /// Of each term of the loss, the gradient on each level, the mean of absolute values of the channels. In
  /// the order of kLosses, without the total.
  std::vector<std::vector<std::vector<float>>> heat;
};
Chapter explain_matching(const Explained& of, const TrainingTrace& training);
/// A sentence on the objects that do not count in training, after a space; empty if all count.
std::string left_out_text(const Explained& of);
Chapter explain_losses(const Explained& of, const TrainingTrace& training);
/// The ground truth that a box overlaps most, by the rule of `match`: its index and the overlap; -1 if none.
std::pair<int, float> best_truth(const Explained& of, const TrainingTrace& training, const Box& box);

/// What an object passed through: a row of the table at the page's top.
struct ObjectPath {
  std::string cells;               // of the table, HTML
  nlohmann::ordered_json numbers;  // for trace.json
};
ObjectPath path_of(const Explained& of, const ObjectStory& story);
/// The detections and the objects on the photograph, with their stories, above the chapters.
std::string explain_result(const Explained& of);
/// A plate in the page. `description` is its alternative text, plain.
std::string plate_figure(const Plate& plate, const std::string& description);

/// The whole page.
std::string explain_page(const Explained& of, const std::string& name, const std::vector<Chapter>& chapters);

// ---- small texts

/// [x1, y1, x2, y2] for JSON; the numbers have as many digits as a float needs.
nlohmann::ordered_json json_box(const Box& box);
nlohmann::ordered_json json_number(float value);
/// "(12.5, 40.0, 88.1, 120.3)"
std::string box_text(const Box& box);
/// For the head of a table that is cut: " (10 of 27)"; empty if all rows are in it.
std::string part_of(size_t shown, size_t all);
/// "1 box", "2 boxes"
std::string boxes_text(int64_t count);
/// "3 (ring, 48x48)": an object in a table, HTML; the extent is in pixels of the photograph.
std::string object_cell(const Explained& of, size_t object);
/// The names of the levels with their colours in drawings, HTML.
std::string level_key(const Stages& stages);
Box centre_arrow(const Box& from, const Box& to);

}  // namespace rcnn
