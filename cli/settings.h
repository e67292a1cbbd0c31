// Settings from flags and, through train/settings_file.h, from a TOML file, by the tables of models/config.h
// and train/config.h.
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

/// Flags for every field, collected as text. Must outlive the parsing.
class SettingFlags {
 public:
  /// The fields named in `first` come first in the help; the others stand under `group`.
  template <class Config>
  void add(CLI::App& app, std::span<const Field<Config>> fields, const Config& defaults,
           const std::string& group, std::span<const std::string_view> first = {});
  /// What was given on the command line.
  Settings given() const;

 private:
  struct Flag {
    std::string key, text;
    CLI::Option* option = nullptr;
  };
  std::list<Flag> flags_;  // options point into it
};

/// The settings on top of the model's own defaults, or of what the detector in the file `weights` was trained
/// with, where such a file is named and no other model. A run that is resumed (`resume`) from a checkpoint in
/// `out` takes that instead of the file, which may be gone. A short side given alone takes the long one
/// along. A profile's settings come before the others. Returns what is still to be suited to the data: the
/// parts of the input that neither decided. Throws InputError for a key that neither table has.
SuitedInput apply_settings(const Settings& settings, ModelConfig& model, TrainConfig& train,
                           bool resume = false);

}  // namespace rcnn
