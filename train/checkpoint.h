// Checkpoints: a training run in one safetensors file.
//
// The file holds the tensors of the model under torchvision's names, those of the optimiser under
// `optimizer.<name>` and the averages under `ema.<name>`. Its metadata has the model's configuration and
// class names, so that detection needs nothing but the file, and the state of the run.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "kernels/plans.h"
#include "models/detector.h"
#include "train/ema.h"
#include "train/sgd.h"

namespace rcnn {

/// What a run needs, besides weights and momenta, to continue as if it had never stopped.
struct RunState {
  int64_t step = 0;             // the number of steps done
  double train_seconds = 0;     // the time spent on them
  double best = -1;             // COCO's AP on the validation split in the best evaluation so far ...
  int64_t best_step = 0;        // ... and the number of steps done then; 0: there was no evaluation
  bool evaluation_due = false;  // the evaluation after this step is missing; a resumed run begins with it
  /// The settings that the result depends on, by key: a resumed run must have the same ones.
  std::map<std::string, std::string> settings;
  /// The numerics_description() of the process that wrote the checkpoint; empty: save_checkpoint takes that
  /// of a process without plans. Under another one the last bits may differ.
  std::string numerics = {};
  std::string data_sha256 = {};  // of the training data's Fingerprint; empty in files of older versions
};

/// `ema` may be null.
void save_checkpoint(const std::filesystem::path& path, Detector& detector, Sgd& sgd, Ema* ema,
                     const RunState& state);
/// Restores the model, the optimiser and, unless null, the average, which must have the same tensors as those
/// that were saved, and returns the run's state. `settings` are those of the resumed run. Throws InputError
/// naming the file and what does not fit.
RunState load_checkpoint(const std::filesystem::path& path, Detector& detector, Sgd& sgd, Ema* ema,
                         const std::map<std::string, std::string>& settings);

/// Versions of the libraries, instruction set and number of threads, on which the last bits of a result
/// depend.
/// If `plans` has any that can change bits, it ends with their digest.
std::string numerics_description(const kernels::Plans* plans = nullptr);

}  // namespace rcnn
