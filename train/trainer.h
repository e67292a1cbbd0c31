// A training run, from data on disk to weights, metrics and a report in the run's folder:
//
//     best.safetensors    the model that was best on the validation split, or the last one where there is
//     none:
//                         for detect and eval
//     last.safetensors    model, optimiser and step, for --resume
//     metrics.jsonl       one line a step (losses, learning rate) and one an evaluation
//     splits/             which images are trained on and watched, where a random choice was made
//     detections.json     on the test split, in COCO's results form
//     summary.json        the run's results in figures
//     report.html         the same for people, with what to improve
#pragma once

#include <map>
#include <string>

#include "eval/data_summary.h"
#include "models/config.h"
#include "train/config.h"

namespace rcnn {

struct RunOptions {
  ModelConfig model;
  TrainConfig train;
  bool resume = false;
  /// Of the steps that the settings ask for, how many: one of the four parts of alternating training.
  double share = 1;
  bool dry_run = false;              // read the data, say how much memory a step takes, and stop
  SuitedInput suited{false, false};  // what of the model's input follows from the training boxes
  std::string command_line;          // quoted in summary and report
  std::string version;               // of the program, for the report
  /// Op family -> variant (see Context::kernels).
  std::map<std::string, std::string, std::less<>> kernels = {};
};

/// Trains, evaluates and reports. Prints progress on standard output. Throws InputError for unusable data or
/// settings, Error when training cannot go on, Interrupted after Ctrl-C.
void train_detector(const RunOptions& options);

}  // namespace rcnn
