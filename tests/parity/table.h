// Writes docs/parity.md for `make parity`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/parity/compare.h"

namespace rcnn::parity {

/// The findings of one case: with each stage on our own numbers, and with each stage on torchvision's.
struct Column {
  std::string name, clearance;
  std::vector<Finding> own, fed;
};

/// Writes the largest deviation per stage and case as a Markdown table.
void write_table(const std::filesystem::path& path, const std::vector<Column>& columns);

}  // namespace rcnn::parity
