// Advice about data and settings that look wrong, in sentences that are printed before training.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/dataset.h"
#include "eval/data_summary.h"
#include "models/config.h"

namespace rcnn {

using Sentences = std::vector<std::string>;

/// What a split is for: to learn from, or to evaluate on.
enum class SplitUse { training, evaluation };

/// As summarise, of a split that is evaluated on: its advice is about what the figures are worth.
DataSummary summarise_for_evaluation(const Dataset& dataset, const std::string& split,
                                     const ModelConfig& config, const std::vector<int64_t>& strides);

/// Names the classes that never appear, have few boxes, or are far outnumbered by another class, and those
/// whose names a person would take for one (data/class_names.h).
/// Of a split that is evaluated on, those say what its figures are worth.
Sentences class_advice(const std::vector<ClassCount>& classes, SplitUse use = SplitUse::training);

/// What to do if there is neither a validation nor a test split.
std::string no_evaluation_advice();

/// Reports boxes that look as if they were written in another convention than the one they are read in, and
/// boxes that occur twice in one image. Uses the faults found while reading and the positions of the boxes.
Sentences label_advice(const Dataset& dataset);

/// If more than a tenth of the boxes overlap no anchor by IoU .5 or more: the setting and the value that
/// reduce this share, and the share that would remain. Empty otherwise.
std::string coverage_advice(const Dataset& dataset, const ModelConfig& config,
                            const std::vector<int64_t>& strides, double poorly_covered);

/// Reports image files that occur twice within a split or in two splits (data/equal_files.h), with
/// one sentence per split or pair of splits. Files that cannot be read are skipped.
Sentences repeated_image_advice(std::span<const std::pair<std::string, const Dataset*>> splits);

/// If the learning rate is far above what trains with this many images per step: a sentence that suggests a
/// lower one. Empty otherwise. `clips` says whether gradients are clipped to a norm.
std::string learning_rate_advice(double learning_rate, int64_t images_per_step, bool clips);

}  // namespace rcnn
