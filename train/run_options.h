// The options of a run, and their conversion to the options of its parts (loader, optimiser).
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "core/files/folder_lock.h"
#include "core/op_observer.h"
#include "core/world.h"
#include "data/loader.h"
#include "eval/data_summary.h"
#include "kernels/plans.h"
#include "models/config.h"
#include "train/config.h"
#include "train/sgd.h"

namespace rcnn {

struct RunOptions {
  ModelConfig model;
  TrainConfig train;
  bool resume = false;
  /// The share of the steps that the settings ask for: below 1 for a part of alternating training.
  double share = 1;
  bool force = false;                // replace files in the folder that another program wrote
  bool allow_changed_data = false;   // resume although the training data are not those of before
  bool dry_run = false;              // read the data, print how much memory a step takes, and stop
  SuitedInput suited{false, false};  // the parts of the model's input that follow from the training boxes
  std::string settings_file;         // --config; empty: none
  std::string command_line;          // quoted in the summary and the report
  std::string version;               // of the program, for the report
  /// Op family -> variant (see Context::kernels).
  std::map<std::string, std::string, std::less<>> kernels = {};
  std::shared_ptr<const kernels::Plans> plans = {};  // from --plans; null: none
  std::string plans_file = {};                       // that they come from; empty: there are none
  /// Every so many steps, what the network makes of this image is kept (train/learning_series.h); 0: never.
  int64_t explain_every = 0;
  std::string explain_image;
  StepWatcher* steps_watcher = nullptr;  // is told of every training step
  World* world = &alone();               // the processes that train together
  bool starts_ranks = false;             // without mpirun: by --gpus, or they meet at --rendezvous
  /// How many processes mpirun has to start with command_line.
  int processes() const { return starts_ranks ? 1 : world->size(); }
};

/// Every setting that the weights depend on, besides the data: a resumed run must have the same ones.
std::map<std::string, std::string> result_settings(const RunOptions& options, bool random_split);
LoaderOptions loader_options(const TrainConfig& config);
Sgd::Options sgd_options(const TrainConfig& config);
/// Throws InputError if the settings of what is trained (mode, freeze-backbone, proposals) do not fit
/// together.
void check_mode(const TrainConfig& config);
/// Locks a folder of a run. A run that resumes waits some seconds for the lock: the run before it may be
/// about to end, as when mpirun has ended a moment before rank 0. Another one is refused at once.
FolderLock lock_run_folder(const RunOptions& options, const std::filesystem::path& folder);
/// Throws InputError if the folder `out` already holds a run that is not to be resumed, or if the run would
/// replace a file that it reads or that another program wrote (see OutputCheck).
void check_run_folder(const RunOptions& options, const std::filesystem::path& out);

}  // namespace rcnn
