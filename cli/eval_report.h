// The report of an evaluation: that of a training run without what only training knows.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "eval/coco_metrics.h"
#include "eval/data_summary.h"
#include "eval/diagnosis.h"

namespace rcnn {

struct EvalReport {
  std::string of, data;             // for the title: the model or the file of detections, and the dataset
  std::string split, command_line;  // an empty split stands for all images
  std::string list = {};            // --images
  std::vector<std::pair<std::string, std::string>> facts = {};
  std::string weights = {};                 // the model's file, of which the page shows the SHA-256
  std::optional<DataSummary> summary = {};  // with a model, whose settings it depends on
};

/// Writes the page and prints its name. `evaluated` has the images that were evaluated; those that cannot be
/// read are not shown.
void write_eval_report(const std::filesystem::path& path, const EvalReport& report, const Dataset& evaluated,
                       const VocResult& result, const CocoFigures& coco, const Diagnosis& diagnosis);

}  // namespace rcnn
