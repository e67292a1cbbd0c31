#include "tests/parity/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/files/atomic_file.h"

namespace rcnn::parity {
namespace {

constexpr std::string_view kHead = R"(# Parity with torchvision

This file is written by `make parity`, which runs torchvision and this program on the same images with the same weights,
and compares every tensor between the stages. Images and weights are made by a formula from a name and an index
(`tests/parity/formula.py`). A number is the largest difference within a tensor, divided by the largest magnitude in
torchvision's tensor; if the limit has a unit, the number is the difference itself. A cell shows the worst tensor of
the stage.

Each cell has two numbers. For the first, everything was computed here, starting from the image. For the second, each
stage was given torchvision's output of the previous stage, so that an error shows in the stage that causes it. A dash
means that the stage is not part of the case.

Training is compared on the RoIs and anchors that torchvision sampled. For the second number, the first step uses
torchvision's gradients. The rows of the steps compare the change of the parameters, after subtracting what the rounding
of the parameters explains.

The gradient of a ReLU or of a maximum jumps. If an activation is within rounding of such a jump, rounding decides
whether a term of a sum is present. torchvision's steps are therefore repeated with noise of 4e-6 on the pixels, which
changes the features about as much as rounding does. Tensors that change by more than 2e-4 under this noise have a
separate row. In double precision there are no such tensors: these rows contain every parameter, and are computed from
torchvision's input only.

"Choices clear by" is the smallest change of a score or an overlap, in either direction, that would change what top-n
selection, NMS or a threshold chose.

)";

/// A row of the table: the findings of one stage that have the same unit.
struct Row {
  std::string stage, unit;
  double limit;
  bool operator==(const Row& other) const { return stage == other.stage && unit == other.unit; }
};

std::string worst(const std::vector<Finding>& findings, const Row& row) {
  double largest = -1;
  for (const Finding& finding : findings)
    if (finding.stage == row.stage && finding.unit == row.unit)
      largest = std::max(largest, finding.deviation);
  return largest < 0 ? "–" : largest == 0 ? "0" : fmt::format("{:.1e}", largest);
}

}  // namespace

void write_table(const std::filesystem::path& path, const std::vector<Column>& columns) {
  std::vector<Row> rows;
  for (const Column& column : columns)
    for (const Finding& finding : column.fed)
      if (const Row row{finding.stage, finding.unit, finding.limit};
          std::find(rows.begin(), rows.end(), row) == rows.end())
        rows.push_back(row);

  std::string text(kHead), line = "| stage | limit |";
  std::string rule = "| --- | --- |";
  for (const Column& column : columns) {
    line += fmt::format(" {} |", column.name);
    rule += " --- |";
  }
  text += line + "\n" + rule + "\n";
  for (const Row& row : rows) {
    text += fmt::format("| {} | {:g}{}{} |", row.stage, row.limit, row.unit.empty() ? "" : " ", row.unit);
    for (const Column& column : columns) {
      const std::string own = worst(column.own, row), fed = worst(column.fed, row);
      text += fed == "–" ? " – |" : fmt::format(" {} / {} |", own, fed);
    }
    text += "\n";
  }
  text += "| choices clear by | |";
  for (const Column& column : columns) text += fmt::format(" {} |", column.clearance);
  write_atomically(path, text + "\n");
}

}  // namespace rcnn::parity
