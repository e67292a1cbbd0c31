// One training run: set-up (run_setup.cpp), training loop (run_loop.cpp) and results (run_finish.cpp). Code
// outside train/ starts runs through train/trainer.h.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "core/context.h"
#include "core/cuda/device.h"
#include "core/files/folder_lock.h"
#include "eval/data_summary.h"
#include "models/detector.h"
#include "train/checkpoint.h"
#include "train/ema.h"
#include "train/run_data.h"
#include "train/run_options.h"
#include "train/sgd.h"

namespace rcnn {

/// The alternating run of which several runs are parts, each in a folder of its own.
struct WholeRun {
  std::filesystem::path folder;
  /// On `folder`: from the start if that holds a run, otherwise from the first part's open_folder on.
  std::optional<FolderLock> lock = {};
  /// The training images that could not be decoded in the parts so far, and for their proposals.
  std::vector<Fault> undecodable = {};

  /// Adds those of `found` that it does not have yet.
  void add_undecodable(const std::vector<Fault>& found);
};

struct Run {
  /// Chooses the device.
  explicit Run(const RunOptions& options);
  Run(const RunOptions& options, const cuda::DeviceChoice& choice);

  RunOptions options;  // what the settings leave open is filled in by read_data
  TrainConfig& config = options.train;
  std::filesystem::path out = config.out;
  World& world = *options.world;
  std::string device_line;  // which device was chosen and why
  Context ctx;
  std::optional<FolderLock> lock;  // on `out`, from open_folder on, or earlier if it exists
  WholeRun* whole = nullptr;       // null unless this run is a part of one
  RunData data;
  std::vector<DataSummary> summaries;  // one per split, the training split first
  Detector detector;
  std::optional<Sgd> sgd;  // empty until build_model
  std::optional<Ema> ema;  // empty without --ema
  RunState state;          // as the last checkpoint has it
  int64_t epoch_steps = 0;
  int64_t steps = 0;              // that the settings ask for; with --minutes an estimate
  std::vector<Fault> faults;      // found in the data so far
  std::vector<Fault> val_faults;  // found by the last evaluation on the validation split

  std::filesystem::path last_checkpoint() const { return out / "last.safetensors"; }
  std::filesystem::path best_weights() const { return out / "best.safetensors"; }
  std::filesystem::path metrics() const { return out / "metrics.jsonl"; }
  /// Whether this run continues from a checkpoint.
  bool continues() const { return options.resume && std::filesystem::exists(last_checkpoint()); }
  int64_t training_images() const { return static_cast<int64_t>(data.train.samples.size()); }
  int64_t images_per_step() const { return config.batch * config.accumulate; }
  /// The same, but a dataset smaller than a batch gives shorter batches.
  int64_t images_seen_per_step() const {
    return std::min(config.batch, training_images()) * config.accumulate;
  }
  Ema* average() { return ema ? &*ema : nullptr; }
};

// ---- set-up. All ranks read the data and build the model; rank 0 alone has the lock and writes.

/// Locks the folder if it is that of a run. Reads the splits, fills in what the settings leave open, and
/// prints what is in the data and what looks wrong with it.
void read_data(Run& run);
/// Prints how much memory a training step takes: the answer of --dry-run.
void print_forecast(Run& run);
/// Builds the model, with the initial weights, the optimiser and the average of the weights.
void build_model(Run& run);
/// Locks the folder. Prepares an empty one, or restores the state of the last checkpoint. Splits that the
/// mode cannot evaluate on are left out from here on.
void open_folder(Run& run);
/// Throws InputError on every rank, with a sentence about the first one that begins with other settings, data
/// or weights than rank 0.
void check_agreement(Run& run);

// ---- loop

/// Trains until the last step, with evaluations and checkpoints. Throws Interrupted, on all ranks, soon after
/// one of them has received a signal of InterruptGuard.
void train_loop(Run& run);

// ---- finish

/// Evaluates the best model once on the test split and writes the results, for people and for programs.
/// Throws Interrupted, likewise, if a signal comes during the evaluation. One that comes later, when only the
/// results are left to write, stops nothing.
void finish(Run& run);

// ---- all of it

/// Trains once, in a mode other than alternating; see train_detector. Returns the lock on the folder.
/// `whole`, if the run is a part of one, is locked with the first folder.
std::optional<FolderLock> train_run(const RunOptions& options, WholeRun* whole = nullptr);

}  // namespace rcnn
