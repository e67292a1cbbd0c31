// Which images a run learns from, watches and is judged by.
#pragma once

#include <filesystem>
#include <string>

#include "data/folder.h"
#include "data/loader.h"
#include "train/config.h"

namespace rcnn {

struct RunData {
  Dataset train, val, test;                     // `val` and `test` may be empty
  std::string train_name, val_name, test_name;  // in words; empty where there is none
  bool random = false;                          // train and val are a random split of unsplit data
  bool test_is_val = false;                     // --test and --val name one split: `test` is a copy

  /// What is evaluated at the end: the test split, else the validation split.
  const Dataset& evaluated() const { return test.samples.empty() ? val : test; }
  const std::string& evaluated_name() const { return test.samples.empty() ? val_name : test_name; }
};

/// Reads the splits that the settings name. Left open, they are train, val and test, as far as the data has
/// them; data without splits is cut in two at random (`val-share`, `seed`), or as the lists in `out`/splits
/// say where a run that is resumed left some. A val or test split that nobody named is not used beside
/// a training split that somebody did, which may contain it (trainval): "none" is none. Proposals are read
/// along: where data is cut in two, `proposals` may name the images of both parts.
RunData read_run_data(const TrainConfig& config, const std::filesystem::path& out, bool resume = false);

/// Leaves a random split's lists in `out`/splits, one id a line.
void write_random_split(const RunData& data, const std::filesystem::path& out);

}  // namespace rcnn
