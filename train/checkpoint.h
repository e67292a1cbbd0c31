// Checkpoints: one safetensors file each, complete in itself.
//
// The tensors are the model's under torchvision's names and, where a run can be resumed from the file, the
// optimiser's under `optimizer.<name>` and the averages under `ema.<name>`. The metadata has the model's
// configuration and class names, so that detection needs nothing but the file.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "models/detector.h"
#include "train/ema.h"
#include "train/sgd.h"

namespace rcnn {

/// What a run must know, besides the weights and momenta, to go on as if it had never stopped.
struct RunState {
  int64_t step = 0;          // steps done
  double train_seconds = 0;  // spent on them
  double best = -1;          // COCO's AP on the validation split, of the best evaluation so far ...
  int64_t best_step = 0;     // ... and the steps that were done then; 0: there was none
  /// The settings that the result depends on, key by key: a resumed run must have the same.
  std::map<std::string, std::string> settings;
  /// `numerics_description` where the checkpoint was written: elsewhere the last bits may differ.
  std::string numerics = {};
};

/// `ema` may be null.
void save_checkpoint(const std::filesystem::path& path, Detector& detector, Sgd& sgd, Ema* ema,
                     const RunState& state);
/// Restores model, optimiser and, unless null, the average, which must be those of the checkpoint, and
/// returns the run's state. `settings` are those of the run that goes on. Throws InputError naming the file
/// and what does not fit.
RunState load_checkpoint(const std::filesystem::path& path, Detector& detector, Sgd& sgd, Ema* ema,
                         const std::map<std::string, std::string>& settings);

/// Threads and libraries: what the last bits of a result depend on besides the seed.
std::string numerics_description();

}  // namespace rcnn
