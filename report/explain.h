// A detector explained on one photograph, stage by stage: a page, its pictures and its numbers. Everything
// shown is read from one detection by the code that detects and trains (DetectionStages, LossStages).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"
#include "models/detector.h"

namespace rcnn {

/// The settings of a second run on the same photograph, which is compared with the first.
struct WhatIf {
  std::vector<std::pair<std::string, std::string>> settings;  // as they were given
  ModelConfig config;                                         // with them
  std::optional<float> score;                                 // confidence threshold, if it is among them
};

/// Reads settings of the form "rpn-nms-thresh=.5" on top of those of a trained model. Throws InputError for
/// one that is unknown, out of range or given twice, and for one that a trained model cannot change: those
/// that only count in training, and those that its weights depend on.
WhatIf parse_what_if(const ModelConfig& config, const std::vector<std::string>& settings);

struct ExplainOptions {
  std::string name;            // of the photograph, for the page
  std::optional<float> score;  // confidence threshold; none: the detector's of each class
  std::optional<std::vector<Object>>
      objects;  // ground truth, with the detector's labels, in pixels of the image
  std::optional<WhatIf> what_if = {};
};

struct Explanation {
  std::string page;                                     // index.html
  std::string numbers;                                  // trace.json
  std::vector<std::pair<std::string, Image>> pictures;  // names without extension, in the order of the page
};

/// Detects on the image and explains how. With objects it also takes the losses of a training step and their
/// gradients, which changes the running statistics of trained batch normalisations: do not save the model
/// afterwards. `detector.model` is on the context's device.
Explanation explain(Context& ctx, Detector& detector, const Image& image, const ExplainOptions& options);

/// Throws InputError, which begins with `option`, if the network's input would have more pixels than the
/// explanation has memory for: it keeps every map and every anchor, about 1 kB per pixel for each level.
void check_explained_size(std::string_view option, const ModelConfig& config, const Image& image);

/// The page's script. It contains no character that XML reserves.
extern const std::string_view kExplainScript;

}  // namespace rcnn
