// The page that shows two detectors beside each other.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "eval/comparison.h"

namespace rcnn {

/// What the page says about the comparison. All texts are plain.
struct ComparisonPage {
  std::string title, subtitle;
  std::vector<std::pair<std::string, std::string>> facts;  // {"A", "run/best.safetensors"}
  std::vector<std::pair<std::string, std::string>> verbatim_facts;
};

/// The page: verdict, figures with their intervals, and the images that either wins by most, side by side
/// with their ground truth. Images that cannot be read are left out.
std::string render_comparison(const ComparisonPage& page, const Comparison& comparison,
                              const Dataset& dataset);

/// Writes it atomically. Throws Error naming the file.
void write_comparison(const std::filesystem::path& path, const ComparisonPage& page,
                      const Comparison& comparison, const Dataset& dataset);

}  // namespace rcnn
