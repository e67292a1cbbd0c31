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

namespace rcnn {

/// Settings as text, in the order in which they are applied.
using Settings = std::vector<std::pair<std::string, std::string>>;

/// The keys of a TOML file: at the top, or in the tables [model] and [train]. Throws InputError naming file
/// and line.
Settings read_settings(const std::filesystem::path& file);

/// Flags for every field, collected as text. Must outlive the parsing.
class SettingFlags {
 public:
  template <class Config>
  void add(CLI::App& app, std::span<const Field<Config>> fields, const Config& defaults,
           const std::string& group);
  /// What was given on the command line.
  Settings given() const;

 private:
  struct Flag {
    std::string key, text;
    CLI::Option* option = nullptr;
  };
  std::list<Flag> flags_;  // options point into it
};

/// The model's own defaults with the settings on top. Throws InputError for a key that neither table has.
void apply_settings(const Settings& settings, ModelConfig& model, TrainConfig& train);

}  // namespace rcnn
