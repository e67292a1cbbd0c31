// --rescale-boxes, --exif-boxes and --allow-outside, for the commands that read labelled images and are not
// configured by a TrainConfig.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

#include "data/folder.h"

namespace rcnn {

/// Adds --max-megapixels, which holds for the whole process.
CLI::Option* add_max_megapixels(CLI::App& app);

struct DataOptions {
  bool rescale_boxes = false;
  std::string exif_boxes = "auto";
  bool allow_outside = false;

  /// Adds the flags. This object must outlive the parsing.
  void add(CLI::App& app);
  /// find_data, with these options for the splits that are read from it.
  DataFolder find(const std::string& path) const;
};

}  // namespace rcnn
