// The training, validation and test split of a run.
#pragma once

#include <filesystem>
#include <string>

#include "data/folder.h"
#include "data/loader.h"
#include "train/config.h"

namespace rcnn {

struct RunData {
  Dataset train, val, test;                     // `val` and `test` may be empty
  std::string train_name, val_name, test_name;  // as shown to people; empty if there is no such split
  bool random = false;                          // train and val are a random split of unsplit data
  bool test_is_val = false;                     // --test and --val name the same split; `test` is a copy
  std::vector<std::string> notes = {};          // sentences about the choice of the data (DataFolder::notes)

  /// The split that is evaluated at the end: test, or validation if there is no test split.
  const Dataset& evaluated() const { return test.samples.empty() ? val : test; }
  const std::string& evaluated_name() const { return test.samples.empty() ? val_name : test_name; }
};

/// Reads the splits that the settings name, together with their proposals.
///
/// By default they are train, val and test, if the data has them. Data without splits is divided at random by
/// `val-share` and `seed`, or by the lists in `out`/splits if a resumed run left any; `proposals` may then
/// name images of both parts. Images on these lists that the data no longer has are left out with
/// `allow_changed_data`, and otherwise an InputError. "none" stands for no split. If the settings name
/// another training split than train, val and test must be named too, because that split may contain their
/// images (trainval does).
RunData read_run_data(const TrainConfig& config, const std::filesystem::path& out, bool resume = false,
                      bool allow_changed_data = false);

/// Writes the lists of a random split to `out`/splits, one id per line.
void write_random_split(const RunData& data, const std::filesystem::path& out);

}  // namespace rcnn
