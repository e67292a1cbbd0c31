// The report's sections on the diagnosis: next steps, confidence thresholds, missed objects, worst images.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "report/html.h"
#include "report/sections.h"

namespace rcnn {
namespace {

constexpr size_t kCausesToName = 3;  // the number of causes in "What to do next"
constexpr size_t kMaxRemarks = 6;    // the number of remarks under a worst image
constexpr const char* kFound = "#dfe4ec";
constexpr std::array<const char*, kMissCauses> kCauseColours = {"#1d4ed8", "#7aa7f7", "#8b5cf6",
                                                                "#fb6f24", "#f5c04a", "#7b8694"};
constexpr std::array<const char*, 3> kSizeBounds = {"below 32² pixels", "32² to 96² pixels",
                                                    "96² pixels or more"};

int64_t misses_of(const Diagnosis& diagnosis, size_t cause) {
  int64_t sum = 0;
  for (const auto& of_size : diagnosis.misses_by_size) sum += of_size[cause];
  return sum;
}

/// The causes that occur, the most frequent first.
std::vector<size_t> causes_by_frequency(const Diagnosis& diagnosis) {
  std::vector<size_t> causes;
  for (size_t cause = 0; cause < kMissCauses; ++cause)
    if (misses_of(diagnosis, cause) > 0) causes.push_back(cause);
  std::stable_sort(causes.begin(), causes.end(),
                   [&](size_t a, size_t b) { return misses_of(diagnosis, a) > misses_of(diagnosis, b); });
  return causes;
}

int64_t total_misses(const Diagnosis& diagnosis) {
  int64_t sum = 0;
  for (size_t cause = 0; cause < kMissCauses; ++cause) sum += misses_of(diagnosis, cause);
  return sum;
}

std::string_view size_name(size_t size) { return name_of(static_cast<ObjectSize>(size)); }
std::string cause_name(size_t cause) { return escape_html(name_of(static_cast<MissCause>(cause))); }
std::string cause_advice(size_t cause) { return advice_html(advice_for(static_cast<MissCause>(cause))); }

// ---- confidence thresholds

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

std::string threshold_cells(const ScoreCurve& curve, const std::string& colour) {
  if (!(curve.best_f1 > 0)) return "<td>–</td><td>–</td><td>–</td><td>–</td>";
  const AtThreshold figures = at_best(curve);
  return fmt::format("<td>{:.2f}</td><td>{}{}</td><td>{}</td><td>{}</td>", curve.best_score,
                     figure(curve.best_f1), bar(curve.best_f1, colour), figure(figures.precision),
                     figure(figures.recall));
}

std::string thresholds_table(const ReportData& data) {
  std::string rows;
  for (size_t i = 0; i < data.diagnosis->classes.size(); ++i) {
    const std::string colour = css_colour(static_cast<int>(i) + 1);
    rows += fmt::format("<tr><td>{}{}</td>{}</tr>\n", swatch(colour), class_name(data, i + 1),
                        threshold_cells(data.diagnosis->classes[i], colour));
  }
  return table("<th>class</th><th>threshold</th><th>F1</th><th>precision</th><th>recall</th>", rows,
               "<td>one threshold for all</td>" + threshold_cells(data.diagnosis->all, kAccent),
               data.diagnosis->classes.size());
}

ChartLine score_line(const ScoreCurve& curve, const std::vector<float>& values, const std::string& colour) {
  ChartLine line{{}, colour};
  for (size_t i = 0; i < std::min(curve.score.size(), values.size()); ++i)
    line.points.push_back({double{curve.score[i]}, double{values[i]}});
  return line;
}

Chart score_chart(const std::string& label) {
  Chart chart;
  chart.label = label;
  chart.x_high = chart.y_high = 1;
  return chart;
}

std::string all_scores_figure(const ScoreCurve& curve) {
  Chart chart = score_chart("Precision, recall and F1 of all classes over the confidence threshold");
  chart.lines = {score_line(curve, curve.precision, kSecond), score_line(curve, curve.recall, kThird),
                 score_line(curve, curve.f1, kAccent)};
  chart.lines.back().width = 3;
  if (curve.best_f1 > 0)
    chart.marks.push_back(
        {curve.best_score, fmt::format("best F1 at a threshold of {:.2f}", curve.best_score)});
  return chart_figure(fmt::format("all classes, by threshold"
                                  "<div><span>{}precision</span><span>{}recall</span><span>{}F1</span></div>",
                                  swatch(kSecond), swatch(kThird), swatch(kAccent)),
                      chart);
}

std::string class_scores_figure(const std::vector<ScoreCurve>& classes) {
  Chart chart = score_chart("F1 over the confidence threshold, one curve per class");
  for (size_t i = 0; i < classes.size(); ++i) {
    const std::string colour = css_colour(static_cast<int>(i) + 1);
    chart.lines.push_back(score_line(classes[i], classes[i].f1, colour));
    if (classes[i].best_f1 > 0)
      chart.marks.push_back({classes[i].best_score, fmt::format("{:.2f}", classes[i].best_score), colour});
  }
  return chart_figure("F1 of each class, by threshold<span>colours as in the table</span>", chart);
}

// ---- missed objects

std::string stack_row(const Diagnosis& diagnosis, size_t size, const std::vector<size_t>& causes) {
  const auto& misses = diagnosis.misses_by_size[size];
  const int64_t objects = diagnosis.objects_by_size[size];
  const int64_t missed = std::accumulate(misses.begin(), misses.end(), int64_t{0});
  const int64_t found = std::max<int64_t>(0, objects - missed);
  if (objects <= 0) return "";
  std::string segments, words = fmt::format("{} of {} {} objects found", found, objects, size_name(size));
  const auto segment = [&](int64_t count, const char* colour) {
    const double width =
        100 * static_cast<double>(count) / static_cast<double>(std::max(objects, found + missed));
    if (count > 0) segments += fmt::format("<b style=\"width:{:.2f}%;background:{}\"></b>", width, colour);
  };
  segment(found, kFound);
  for (const size_t cause : causes) {
    segment(misses[cause], kCauseColours[cause]);
    if (misses[cause] > 0) words += fmt::format(", {} {}", misses[cause], cause_name(cause));
  }
  return fmt::format(
      "<div class=\"stack\"><p><b>{}</b> {}<span><b>{}</b> of {} found, recall {}</span></p>"
      "<div role=\"img\" aria-label=\"{}\">{}</div></div>\n",
      size_name(size), kSizeBounds[size], found, objects,
      percent(static_cast<double>(found) / static_cast<double>(objects)), words, segments);
}

std::string cause_card(const Diagnosis& diagnosis, size_t cause) {
  std::string by_size;
  for (size_t size = 0; size < kSizeBounds.size(); ++size)
    if (const int64_t count = diagnosis.misses_by_size[size][cause]; count > 0)
      by_size += fmt::format("{}{} {}", by_size.empty() ? "" : ", ", count, size_name(size));
  return fmt::format("<div><h3>{}{}<span>{}</span></h3><p>{}</p><p>{}</p></div>\n",
                     swatch(kCauseColours[cause]), cause_name(cause), misses_of(diagnosis, cause), by_size,
                     cause_advice(cause));
}

/// What to do about detections that are paired with no object, if they are a fifth of all or more.
std::string false_alarms_item(const Diagnosis& diagnosis) {
  int64_t shown = 0, nothing = 0;
  for (const auto& [truth, found, count] : diagnosis.confusion.cells()) {
    if (found == 0) continue;
    shown += count;
    if (truth == 0) nothing += count;
  }
  if (nothing == 0 || 5 * nothing < shown) return "";
  return fmt::format(
      "<li><b>{} of {} detections are false positives without an annotated object.</b> Look at the worst "
      "images. If an annotation lacks an object, add it, and check the training images for such objects too. "
      "If the detector is wrong, add training images that show the same background without an object.</li>\n",
      nothing, shown);
}

}  // namespace

std::string class_name(const ReportData& data, size_t label) {
  if (label == 0) return "background";
  return label <= data.classes.size() ? escape_html(data.classes[label - 1]) : fmt::format("{}", label);
}

ReportSection next_steps_section(const ReportData& data) {
  std::string items;
  std::vector<std::string> said;
  for (const DataSummary& summary : data.summaries)
    for (const std::string& sentence : summary.advice) {
      if (std::find(said.begin(), said.end(), sentence) != said.end()) continue;
      said.push_back(sentence);
      items += fmt::format("<li><b>Dataset ({}):</b> {}</li>\n", escape_html(summary.split),
                           advice_html(sentence));
    }
  if (data.diagnosis) {
    std::vector<size_t> causes = causes_by_frequency(*data.diagnosis);
    causes.resize(std::min(causes.size(), kCausesToName));
    for (const size_t cause : causes)
      items +=
          fmt::format("<li><b>{} of {} missed objects: {}.</b> {}</li>\n", misses_of(*data.diagnosis, cause),
                      total_misses(*data.diagnosis), cause_name(cause), cause_advice(cause));
    items += false_alarms_item(*data.diagnosis);
  }
  if (!items.empty()) items = fmt::format("<ol>\n{}</ol>\n", items);
  return {"next", "What to do next", "", items};
}

ReportSection scores_section(const ReportData& data) {
  std::string body;
  if (data.diagnosis && data.diagnosis->all.best_f1 > 0) {
    const std::string all = all_scores_figure(data.diagnosis->all), rows = thresholds_table(data);
    const size_t classes = data.diagnosis->classes.size();
    body = classes > 1 && classes <= kMaxOverlaid
               ? charts("large", all + class_scores_figure(data.diagnosis->classes)) + rows
               : fmt::format("<div class=\"beside\">\n<div>{}</div>\n<div>{}</div></div>\n", all, rows);
  }
  return {
      "scores", "Confidence threshold",
      "Only detections whose score reaches the confidence threshold are kept. With a higher threshold more "
      "of them are correct (precision) and fewer objects are found (recall). F1 combines both; the "
      "recommended threshold (dashed) is where F1 is largest. Choose a higher threshold if a false "
      "positive is expensive, a lower one if a false negative is.",
      body};
}

ReportSection misses_section(const ReportData& data) {
  std::string body;
  if (data.diagnosis) {
    const std::vector<size_t> causes = causes_by_frequency(*data.diagnosis);
    std::string rows, cards;
    for (size_t size = 0; size < kSizeBounds.size(); ++size) rows += stack_row(*data.diagnosis, size, causes);
    for (const size_t cause : causes) cards += cause_card(*data.diagnosis, cause);
    if (!rows.empty()) body = fmt::format("<div class=\"stacks\">\n{}</div>\n", rows);
    if (!cards.empty()) body += fmt::format("<div class=\"causes\">\n{}</div>\n", cards);
  }
  return {
      "misses", "Missed objects (false negatives)",
      "Objects by COCO's size ranges, in pixels of the original image. The grey part of a bar is found at "
      "the recommended confidence thresholds. The coloured parts are missed, one colour per cause.",
      body};
}

ReportSection worst_section(const ReportData& data) {
  std::string figures;
  for (const ReportPicture& picture : data.worst) {
    std::string items, spoken = picture.caption;
    for (size_t i = 0; i < picture.remarks.size(); ++i) {
      if (i < kMaxRemarks) items += fmt::format("<li>{}</li>", escape_html(picture.remarks[i]));
      spoken += "; " + picture.remarks[i];
    }
    if (picture.remarks.size() > kMaxRemarks)
      items += fmt::format("<li>and {} more</li>", picture.remarks.size() - kMaxRemarks);
    if (!items.empty()) items = fmt::format("<ul>{}</ul>", items);
    figures += fmt::format("<figure><div>{}</div><figcaption>{}</figcaption>{}</figure>\n",
                           image_element(picture.image, spoken), escape_html(picture.caption), items);
  }
  if (!figures.empty())
    figures = fmt::format(
        "<p class=\"key\"><span><i class=\"missed\"></i>missed (false negative)</span>"
        "<span><i class=\"wrong\"></i>wrong (false positive), with score</span>"
        "<span><i class=\"right\"></i>correct</span></p>\n"
        "<div class=\"gallery\">\n{}</div>\n",
        figures);
  return {"worst", "Worst images",
          "The images with the most errors at the recommended confidence thresholds, worst first. Look for "
          "what they have in common, and for errors that are in the ground truth: objects that are missing "
          "there or have a misplaced box.",
          figures};
}

}  // namespace rcnn
