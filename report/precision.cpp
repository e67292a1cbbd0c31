// The report's average precision: table, precision-recall curves, and COCO's metrics.
#include <fmt/format.h>

#include <algorithm>

#include "eval/coco_metrics.h"
#include "report/html.h"
#include "report/sections.h"

namespace rcnn {
namespace {

/// `key` stands before the name of the class.
std::string table_row(const ClassResult& of_class, const std::string& key) {
  std::string row = fmt::format("<tr><td>{}{}</td>", key, escape_html(of_class.name));
  if (of_class.truths > 0)
    row += fmt::format("<td>{:.3f}{}</td><td>{:.3f}</td>", of_class.ap_area, bar(of_class.ap_area, kAccent),
                       of_class.ap_11point);
  else
    row += "<td>–</td><td>–</td>";
  return row + fmt::format("<td>{}</td><td>{}</td></tr>\n", of_class.truths, of_class.detections);
}

std::string ap_table(const VocResult& result) {
  std::string rows;
  int64_t truths = 0, detections = 0;
  for (size_t i = 0; i < result.classes.size(); ++i) {
    rows += table_row(result.classes[i], result.classes.size() > kMaxOverlaid ? "" : curve_key(i));
    truths += result.classes[i].truths;
    detections += result.classes[i].detections;
  }
  return table(
      "<th>class</th><th>AP (area)</th><th>AP (11 points)</th><th>objects</th><th>detections</th>", rows,
      fmt::format("<td>mean, total</td><td>{:.3f}{}</td><td>{:.3f}</td><td>{}</td><td>{}</td>",
                  result.map_area, bar(result.map_area, kAccent), result.map_11point, truths, detections),
      result.classes.size());
}

/// The precision-recall curve, starting at recall 0.
ChartLine recall_line(const ClassResult& of_class) {
  ChartLine line;
  for (size_t i = 0; i < of_class.recall.size(); ++i)
    line.points.push_back({double{of_class.recall[i]}, double{of_class.precision[i]}});
  if (!line.points.empty()) line.points.insert(line.points.begin(), {0, line.points.front().y});
  return line;
}

Chart recall_chart(Chart chart, const std::string& label) {
  chart.label = label;
  chart.x_high = 1;
  chart.y_high = 1;
  chart.x_title = "recall";
  chart.y_title = "precision";
  return chart;
}

std::string overlaid_curves(const VocResult& result) {
  Chart chart = recall_chart({}, "precision-recall curves, one per class");
  chart.height = 340;
  for (size_t i = 0; i < result.classes.size(); ++i) {
    if (result.classes[i].truths == 0) continue;
    chart.lines.push_back(recall_line(result.classes[i]));
    chart.lines.back().colour = curve_colour(i);
    chart.lines.back().dash = curve_dash(i);
    chart.lines.back().label = result.classes[i].name;
  }
  return chart_figure("Precision-recall curve of each class, at IoU .5", chart);
}

/// One chart per class. The charts are collapsed if they would fill several screens.
std::string separate_curves(const VocResult& result) {
  std::string figures;
  for (size_t i = 0; i < result.classes.size(); ++i) {
    const ClassResult& of_class = result.classes[i];
    if (of_class.truths == 0) continue;
    Chart chart = recall_chart(small_chart({}), "precision-recall curve of " + of_class.name);
    chart.lines.push_back(recall_line(of_class));
    chart.lines.back().filled = true;
    figures += chart_figure(
        fmt::format("{}<span>{:.3f}</span>", escape_html(of_class.name), of_class.ap_area), chart);
  }
  if (result.classes.size() <= kLongTable)
    return "<h3>Precision-recall curves</h3>\n" + charts("small", figures);
  return folded("Precision-recall curves, one chart per class", charts("small", figures));
}

std::string voc_part(const VocResult& result) {
  if (result.classes.empty()) return "";
  const std::string rows = ap_table(result);
  if (result.classes.size() > kMaxOverlaid) return rows + separate_curves(result);
  return fmt::format("<div class=\"beside\">\n<div>{}</div>\n<div>{}</div></div>\n", overlaid_curves(result),
                     rows);
}

/// Why the mAP at IoU .5 and COCO's AP50 are not the same number.
std::string difference(const ReportData& data) {
  const auto& figures = data.coco_figures;
  const auto ap50 = std::find_if(figures.begin(), figures.end(),
                                 [](const auto& f) { return f.first == kCocoFigures[1].words; });
  if (data.result.classes.empty() || ap50 == figures.end() || !(ap50->second >= 0)) return "";
  const std::string here = fmt::format("{:.3f}", data.result.map_area), coco = figure(ap50->second);
  return fmt::format(
      "<p><b>Why mAP@.5 ({}) and COCO's AP at IoU .50 ({}) {}.</b> Both are the mean average precision of "
      "the "
      "same detections at the same overlap, computed by two rules. mAP@.5 is Pascal VOC's: the whole area "
      "under the precision-recall curve, and a detection belongs to the object of its class that it overlaps "
      "most. COCO averages the precision at 101 values of recall, counts at most 100 detections per class "
      "and "
      "image, and a detection may take another object that is still free. Compare a figure only with others "
      "made by the same rule.</p>\n",
      here, coco, here == coco ? "can differ" : "differ");
}

/// A table in two columns, because COCO has six metrics of precision and six of recall.
std::string coco_part(const ReportData& data) {
  const auto& figures = data.coco_figures;
  if (figures.empty()) return "";
  std::string halves;
  const size_t half = (figures.size() + 1) / 2;
  for (size_t begin = 0; begin < figures.size(); begin += half) {
    std::string rows;
    for (size_t i = begin; i < std::min(begin + half, figures.size()); ++i) {
      const auto& [name, value] = figures[i];
      rows += fmt::format("<tr><td>{}</td><td>{}{}</td></tr>\n", escape_html(name), figure(value),
                          value >= 0 ? bar(value, kAccent) : "");
    }
    halves += fmt::format("<div>{}</div>\n", table("<th>metric</th><th>value</th>", rows, "", half));
  }
  return fmt::format(
      "<h3>COCO metrics</h3>\n<p>Average precision (AP) measures how many of the detections are correct, "
      "average recall (AR) how many of the objects are found. The higher the required overlap (IoU), the "
      "better the boxes must fit; the mean over IoU .50 to .95 is therefore lower than the AP at IoU .50. "
      "A dash (–) means that there are no objects of that size.</p>\n{}"
      "<div class=\"halves\">\n{}</div>\n",
      difference(data), halves);
}

}  // namespace

ReportSection precision_section(const ReportData& data) {
  const std::string where =
      data.evaluated_on.empty() ? "" : fmt::format("Evaluated on {}. ", escape_html(data.evaluated_on));
  return {"precision", "Precision-recall curve: average precision (AP)",
          where +
              "A detection is correct (a true positive) if it overlaps an object of its class by an "
              "intersection over union (IoU) of .5 or more and is the first to do so in order of score; "
              "duplicate detections are false positives. AP is the area under the precision-recall curve, or "
              "the mean precision at 11 values of recall. It takes all detections, also those with a "
              "confidence below the recommended threshold.",
          voc_part(data.result) + coco_part(data)};
}

}  // namespace rcnn
