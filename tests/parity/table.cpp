#include "tests/parity/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/files/atomic_file.h"

namespace rcnn::parity {
namespace {

constexpr std::string_view kHead = R"(# Parity with torchvision

Written by `make parity`: it runs torchvision and this program on the same images with the same weights, made by a
formula of name and index (`tests/parity/formula.py`), and compares every tensor between the stages. A number is the
largest difference within a tensor divided by torchvision's largest magnitude in it, of the worst tensor of the stage;
with a unit it is the difference itself. Of the two numbers of a cell the first is with everything computed here, from
the image on; for the second the stage was given torchvision's own output of the stage before, so that an error shows
where it is made. A dash: not part of the case.

Training is compared with torchvision's samples. After the first step its gradients are given for the second number.
Of the steps the change of the parameters is compared, less what rounding the parameter explains.

The gradient of a ReLU or of a maximum jumps: where an activation lies within rounding of such a place, rounding decides
whether a term of a sum is there. torchvision's steps are therefore repeated with noise of 4e-6 on the pixels, about
what rounding does to the features. Tensors that this changes by more than 2e-4 have a row of their own. In double precision
there are none; those rows have every parameter, and are computed from torchvision's input alone.

"Choices clear by" is the least change of a score or an overlap, in either direction, that would change what top n, NMS
or a threshold chose.

)";

/// A row of the table: the findings of one stage that are counted in one unit.
struct Row {
  std::string stage, unit;
  double limit;
  bool operator==(const Row& other) const { return stage == other.stage && unit == other.unit; }
};

std::string worst(const std::vector<Finding>& findings, const Row& row) {
  double most = -1;
  for (const Finding& finding : findings)
    if (finding.stage == row.stage && finding.unit == row.unit) most = std::max(most, finding.deviation);
  return most < 0 ? "–" : most == 0 ? "0" : fmt::format("{:.1e}", most);
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
