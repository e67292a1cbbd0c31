// Settings from flags and, through train/settings_file.h, from a TOML file. The tables of models/config.h and
// train/config.h say which there are.
#pragma once

#include <CLI/CLI.hpp>

#include <list>
#include <string>
#include <utility>
#include <vector>

#include "eval/data_summary.h"
#include "models/config.h"
#include "train/config.h"
#include "train/settings_file.h"

namespace rcnn {

/// One flag per field, collected as text. The object must outlive the parsing.
class SettingFlags {
 public:
  /// The fields named in `first` come first in the help, the others under `group`.
  template <class Config>
  void add(CLI::App& app, std::span<const Field<Config>> fields, const Config& defaults,
           const std::string& group, std::span<const std::string_view> first = {});
  /// The settings that were given on the command line.
  Settings given() const;

 private:
  struct Flag {
    std::string key, text;
    CLI::Option* option = nullptr;
  };
  std::list<Flag> flags_;  // options point into it
};

/// Applies the settings to the defaults of the model, or to the configuration of the detector in the file
/// `weights` if one is given and no other model is named. With `resume`, a checkpoint in `out` replaces that
/// file, which may be gone. The settings of a profile are applied before the others. A short side without a
/// long side changes the long side in proportion. Returns the parts of the input that remain to be suited to
/// the data. Throws InputError for a key that neither table has.
SuitedInput apply_settings(const Settings& settings, ModelConfig& model, TrainConfig& train,
                           bool resume = false);

}  // namespace rcnn
