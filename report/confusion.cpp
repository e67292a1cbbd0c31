// The report's confusion matrix, or lists of the most frequent errors if it would be too large to read.
#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "report/html.h"
#include "report/sections.h"

namespace rcnn {
namespace {

using Matrix = Confusion;  // [truth][found], where 0 is the background

constexpr size_t kMaxMatrix = 16;  // classes; with more the lists are shown
constexpr size_t kMaxPairs = 12;   // rows of each list

double share_of(int64_t count, int64_t sum) {
  return sum > 0 ? static_cast<double>(count) / static_cast<double>(sum) : 0;
}

std::string cell(const Matrix& matrix, size_t truth, size_t found) {
  if (truth == 0 && found == 0) return "<td></td>";
  const int64_t count = matrix[truth][found];
  if (count == 0) return "<td class=\"none\">0</td>";
  const double share = share_of(count, matrix[truth].sum());
  // The shade lies over the page, so that it suits light and dark pages.
  return fmt::format("<td class=\"{}\" style=\"--share:{:.2f}\">{}<small>{:.0f} %</small></td>",
                     truth == found ? "hit" : "slip", share, count, 100 * share);
}

/// The matrix as a table, with the classes in order and the background last.
std::string matrix_table(const ReportData& data, const Matrix& matrix) {
  std::vector<size_t> labels(matrix.size());
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = (i + 1) % labels.size();
  std::string head = "<th>ground truth / detected as</th>", rows;
  for (const size_t label : labels)
    head += fmt::format("<th scope=\"col\"><span>{}</span></th>",
                        label == 0 ? "missed" : class_name(data, label));
  for (const size_t truth : labels) {
    rows += fmt::format("<tr><th scope=\"row\">{}</th>", class_name(data, truth));
    for (const size_t found : labels) rows += cell(matrix, truth, found);
    rows += "</tr>\n";
  }
  return fmt::format(
      "<div class=\"scroll\"><table "
      "class=\"heat{}\">\n<thead><tr>{}</tr></thead>\n<tbody>\n{}</tbody></table></div>\n",
      matrix.size() > 7 ? " upright" : "", head, rows);
}

using Pair = Confusion::Cell;

/// The pairs for which `wanted` is true, the most frequent first.
template <class Wanted>
std::vector<Pair> most_frequent(const Matrix& matrix, const Wanted& wanted) {
  std::vector<Pair> pairs = matrix.cells();
  std::erase_if(pairs, [&](const Pair& pair) { return !wanted(pair.truth, pair.found); });
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& a, const Pair& b) { return a.count > b.count; });
  pairs.resize(std::min(pairs.size(), kMaxPairs));
  return pairs;
}

std::string pair_lists(const ReportData& data, const Matrix& matrix) {
  std::string confused, missed, invented, lists;
  for (const Pair& p : most_frequent(matrix, [](size_t t, size_t f) { return t > 0 && f > 0 && t != f; }))
    confused += fmt::format("<tr><td>{}</td><td class=\"text\">{}</td><td>{}</td><td>{}</td></tr>\n",
                            class_name(data, p.truth), class_name(data, p.found), p.count,
                            percent(share_of(p.count, matrix[p.truth].sum())));
  for (const Pair& p : most_frequent(matrix, [](size_t t, size_t f) { return t > 0 && f == 0; }))
    missed += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n", class_name(data, p.truth), p.count,
                          percent(share_of(p.count, matrix[p.truth].sum())));
  for (const Pair& p : most_frequent(matrix, [](size_t t, size_t f) { return t == 0 && f > 0; }))
    invented += fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", class_name(data, p.found), p.count);
  const auto add = [&](const char* heading, const char* head, const std::string& rows) {
    if (!rows.empty()) lists += fmt::format("<div><h3>{}</h3>{}</div>\n", heading, table(head, rows, "", 0));
  };
  add("Detected as another class",
      "<th>ground truth</th><th class=\"text\">detected as</th><th>objects</th><th>share</th>", confused);
  add("Missed (false negatives)", "<th>ground truth</th><th>objects</th><th>share</th>", missed);
  add("False positives", "<th>detected as</th><th>detections</th>", invented);
  return lists.empty() ? "" : fmt::format("<div class=\"lists\">\n{}</div>\n", lists);
}

}  // namespace

ReportSection confusion_section(const ReportData& data) {
  ReportSection section{
      "confusion", "Confusion matrix",
      "Ground-truth objects and detections at the recommended confidence thresholds, paired if they overlap "
      "by an IoU of .5 or more, whatever their classes.",
      ""};
  if (!data.diagnosis || data.diagnosis->confusion.empty()) return section;
  const Matrix& matrix = data.diagnosis->confusion;
  if (matrix.cells().empty()) return section;
  if (matrix.size() - 1 > kMaxMatrix) {
    section.introduction +=
        " These are the most frequent errors; the share is that of the objects of the class.";
    section.body = pair_lists(data, matrix);
  } else {
    section.introduction +=
        " Rows are the ground truth, columns the detected classes; each cell has a count and its share of "
        "the row. The diagonal (blue) is correct, the other cells (orange) are errors. The last column has "
        "the missed objects (false negatives); the last row has the false positives that are paired with no "
        "object: detections of background, localisation errors, and further detections of an object that is "
        "paired already, of its class or of another one.";
    section.body = matrix_table(data, matrix);
  }
  return section;
}

}  // namespace rcnn
