// A run's settings as the parts of training want them.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "data/loader.h"
#include "train/sgd.h"
#include "train/trainer.h"

namespace rcnn {

/// Everything the weights depend on besides the data: what a resumed run must share with the one it
/// continues.
std::map<std::string, std::string> result_settings(const RunOptions& options, bool random_split);
LoaderOptions loader_options(const TrainConfig& config);
Sgd::Options sgd_options(const TrainConfig& config);
/// Throws InputError where the settings of what is trained (mode, freeze-backbone, proposals) do not fit
/// together.
void check_mode(const TrainConfig& config);
/// A run's folder is not written into by another: throws InputError where one is and is not to be resumed.
void check_run_folder(const std::filesystem::path& out, bool resume);

}  // namespace rcnn
