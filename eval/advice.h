// What looks wrong with data or settings, said before training in sentences.
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

/// Classes that never appear, have few boxes, or are far outnumbered.
Sentences class_advice(const std::vector<ClassCount>& classes);

/// Boxes that look as if they were written in another convention than the one they are read by, and boxes
/// that stand twice on one image. Goes by the faults that reading found and by how the boxes lie.
Sentences label_advice(const Dataset& dataset);

/// Where more than a tenth of the boxes overlap no anchor by half: which setting, set to what, leaves how
/// many. Empty where fewer do.
std::string coverage_advice(const Dataset& dataset, const ModelConfig& config,
                            const std::vector<int64_t>& strides, double poorly_covered);

/// Image files that are the same in one split or in two (same size, same first 64 KiB), one sentence for each
/// split or pair of them. Files that cannot be read are passed over.
Sentences repeated_image_advice(std::span<const std::pair<std::string, const Dataset*>> splits);

/// Whether a learning rate is far beyond what trains with this many images a step, and which one to use;
/// empty where it is not. `clips`: gradients are clipped to a norm.
std::string learning_rate_advice(double learning_rate, int64_t images_a_step, bool clips);

}  // namespace rcnn
