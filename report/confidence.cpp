// The report's section on the confidence threshold: precision, recall and F1.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html.h"
#include "report/sections.h"

namespace rcnn {
namespace {

struct AtThreshold {
  double precision, recall;
};

/// Precision and recall of a curve at its recommended threshold.
AtThreshold at_best(const ScoreCurve& curve) {
  size_t best = 0;
  for (size_t i = 0; i < curve.score.size(); ++i)
    if (std::abs(curve.score[i] - curve.best_score) < std::abs(curve.score[best] - curve.best_score))
      best = i;
  return {best < curve.precision.size() ? double{curve.precision[best]} : 0,
          best < curve.recall.size() ? double{curve.recall[best]} : 0};
}

std::string threshold_cells(const ScoreCurve& curve) {
  if (!(curve.best_f1 > 0)) return "<td>–</td><td>–</td><td>–</td><td>–</td>";
  const AtThreshold figures = at_best(curve);
  return fmt::format("<td>{:.2f}</td><td>{}{}</td><td>{}</td><td>{}</td>", curve.best_score,
                     figure(curve.best_f1), bar(curve.best_f1, kAccent), figure(figures.precision),
                     figure(figures.recall));
}

std::string thresholds_table(const ReportData& data) {
  std::string rows;
  const size_t count = data.diagnosis->classes.size();
  for (size_t i = 0; i < count; ++i)
    rows += fmt::format("<tr><td>{}{}</td>{}</tr>\n", count > 1 && count <= kMaxOverlaid ? curve_key(i) : "",
                        class_name(data, i + 1), threshold_cells(data.diagnosis->classes[i]));
  return table("<th>class</th><th>confidence threshold</th><th>F1</th><th>precision</th><th>recall</th>",
               rows, "<td>one threshold for all</td>" + threshold_cells(data.diagnosis->all), count);
}

ChartLine score_line(const ScoreCurve& curve, const std::vector<float>& values, size_t index,
                     const std::string& label) {
  ChartLine line{{}, curve_colour(index)};
  line.dash = curve_dash(index);
  line.label = label;
  for (size_t i = 0; i < std::min(curve.score.size(), values.size()); ++i)
    line.points.push_back({double{curve.score[i]}, double{values[i]}});
  // Of the zeros at the end, the first one shows where the curve ends.
  while (line.points.size() > 1 && line.points.back().y == 0 && line.points.end()[-2].y == 0)
    line.points.pop_back();
  return line;
}

/// Where nothing is found, the precision counts as 1 and is left out. A detection that is wrong gives a
/// precision of 0 at a recall of 0.
ChartLine precision_line(const ScoreCurve& curve, size_t index) {
  ChartLine line = score_line(curve, curve.precision, index, "precision");
  const size_t count = std::min(line.points.size(), curve.recall.size());
  size_t kept = 0;
  for (size_t i = 0; i < count; ++i)
    if (curve.recall[i] != 0 || curve.precision[i] != 1) line.points[kept++] = line.points[i];
  line.points.resize(kept);
  return line;
}

Chart score_chart(const std::string& label, const std::string& y_title) {
  Chart chart;
  chart.label = label;
  chart.x_high = chart.y_high = 1;
  chart.x_title = "confidence threshold";
  chart.y_title = y_title;
  return chart;
}

std::string all_scores_figure(const ScoreCurve& curve) {
  Chart chart = score_chart("Precision, recall and F1 of all classes over the confidence threshold",
                            "precision, recall, F1");
  chart.lines = {score_line(curve, curve.f1, 0, "F1"), precision_line(curve, 1),
                 score_line(curve, curve.recall, 2, "recall")};
  chart.lines.front().width = 3;
  if (curve.best_f1 > 0)
    chart.marks.push_back(
        {curve.best_score, fmt::format("best F1 at a threshold of {:.2f}", curve.best_score)});
  return chart_figure("Precision, recall and F1, all classes", chart);
}

std::string class_scores_figure(const ReportData& data) {
  const std::vector<ScoreCurve>& classes = data.diagnosis->classes;
  Chart chart = score_chart("F1 over the confidence threshold, one curve per class", "F1");
  for (size_t i = 0; i < classes.size(); ++i) {
    if (!(classes[i].best_f1 > 0)) continue;
    const std::string name = i < data.classes.size() ? data.classes[i] : fmt::format("{}", i + 1);
    chart.lines.push_back(score_line(classes[i], classes[i].f1, i, name));
    chart.marks.push_back(
        {classes[i].best_score, fmt::format("{}: {:.2f}", name, classes[i].best_score), curve_colour(i)});
  }
  return chart_figure("F1 of each class", chart);
}

}  // namespace

ReportSection confidence_section(const ReportData& data) {
  std::string body;
  if (data.diagnosis && data.diagnosis->all.best_f1 > 0) {
    const std::string all = all_scores_figure(data.diagnosis->all), rows = thresholds_table(data);
    const size_t classes = data.diagnosis->classes.size();
    body = classes > 1 && classes <= kMaxOverlaid
               ? charts("large", all + class_scores_figure(data)) + rows
               : fmt::format("<div class=\"beside\">\n<div>{}</div>\n<div>{}</div></div>\n", all, rows);
  }
  return {
      "confidence", "Confidence threshold: precision, recall and F1",
      "Only detections whose confidence (score) reaches the threshold are kept. With a higher threshold "
      "more of them are correct (precision) and fewer objects are found (recall). F1 combines both; the "
      "recommended threshold (vertical dashed line) is where F1 is largest. Choose a higher threshold if "
      "a false positive is expensive, a lower one if a false negative is. The curves end where nothing is "
      "found any more.",
      body};
}

}  // namespace rcnn
