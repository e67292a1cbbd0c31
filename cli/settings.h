// Settings from a TOML file and from flags, by the tables of models/config.h and train/config.h.
#pragma once

#include <CLI/CLI.hpp>

#include <filesystem>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "models/config.h"
#include "train/config.h"
#include "train/data_summary.h"

namespace rcnn {

/// Settings as text, in the order in which they are applied.
using Settings = std::vector<std::pair<std::string, std::string>>;

/// The keys of a TOML file: at the top, or in the tables [model] and [train]. Throws InputError naming file
/// and line.
Settings read_settings(const std::filesystem::path& file);

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

/// Another short side, the long one in proportion. Anchors keep their size in pixels of the network's input.
void set_short_side(ModelConfig& model, int64_t pixels);

/// The settings on top of the model's own defaults, or of what the detector in the file `weights` was trained
/// with, where such a file is named and no other model. A run that is resumed (`resume`) from a checkpoint in
/// `out` takes that instead of the file, which may be gone. A short side given alone takes the long one
/// along. Returns what is still to be suited to the data: the parts of the input that neither decided. Throws
/// InputError for a key that neither table has.
SuitedInput apply_settings(const Settings& settings, ModelConfig& model, TrainConfig& train,
                           bool resume = false);

}  // namespace rcnn
