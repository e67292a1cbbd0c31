// docs/parity.md, as `make parity` writes it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/parity/compare.h"

namespace rcnn::parity {

/// One case: each stage on our own numbers, and each on torchvision's.
struct Column {
  std::string name, clearance;
  std::vector<Finding> own, fed;
};

/// Writes the largest deviation by stage and case as Markdown.
void write_table(const std::filesystem::path& path, const std::vector<Column>& columns);

}  // namespace rcnn::parity
