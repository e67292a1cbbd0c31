// Settings from a TOML file, by the tables of models/config.h and train/config.h.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace rcnn {

/// Settings as text, in the order in which they are applied.
using Settings = std::vector<std::pair<std::string, std::string>>;

/// The settings in a TOML file, whose keys are at the top level or in the tables [model] and [train]. Throws
/// InputError naming file and line.
Settings read_settings(const std::filesystem::path& file);

}  // namespace rcnn
