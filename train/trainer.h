// A training run, from data on disk to weights, metrics and a report in the run's folder:
//
//     model.safetensors   the trained model, for detect and eval
//     last.safetensors    model, optimiser and step, for --resume
//     metrics.jsonl       one line a step (losses, learning rate) and one an evaluation
//     detections.json     on the test split, in COCO's results form
//     summary.json        the run's results in figures
//     report.html         the same for people
#pragma once

#include <map>
#include <string>

#include "models/config.h"
#include "train/config.h"

namespace rcnn {

struct RunOptions {
  ModelConfig model;
  TrainConfig train;
  bool resume = false;
  std::string command_line;  // quoted in summary and report
  std::string version;       // of the program, for the report
  /// Op family -> variant (see Context::kernels).
  std::map<std::string, std::string, std::less<>> kernels = {};
};

/// Trains, evaluates and reports. Prints progress on standard output. Throws InputError for unusable data or
/// settings, Error when training cannot go on.
void train_detector(const RunOptions& options);

}  // namespace rcnn
