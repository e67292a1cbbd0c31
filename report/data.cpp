// The report's sections on the dataset: its figures, and training images after augmentation.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html.h"
#include "report/overlay.h"
#include "report/sections.h"

namespace rcnn {
namespace {

constexpr const char* kColumns = "var(--columns)";  // the colour of the first split
constexpr double kCovered = 0.5;  // the overlap with an anchor from which a box is easily learned

// ---- tables

std::string splits_table(const std::vector<DataSummary>& summaries) {
  std::string rows;
  for (const DataSummary& s : summaries)
    rows += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{} × {}</td><td>{} × {}</td>"
        "<td>{} × {}</td><td>{}</td></tr>\n",
        escape_html(s.split), s.images, s.without_objects, s.boxes, s.ignored, s.median_width,
        s.median_height, s.min_width, s.min_height, s.max_width, s.max_height,
        s.boxes > 0 ? percent(s.poorly_covered) : "–");
  return table(
      "<th>split</th><th>images</th><th>without objects</th><th>objects</th><th>ignored</th>"
      "<th>median image</th><th>smallest image</th><th>largest image</th><th>anchor IoU below .5</th>",
      rows, "", summaries.size());
}

const ClassCount* find_class(const DataSummary& summary, const std::string& name) {
  const auto found = std::find_if(summary.classes.begin(), summary.classes.end(),
                                  [&](const ClassCount& count) { return count.name == name; });
  return found == summary.classes.end() ? nullptr : &*found;
}

/// Objects by class, with bars for the first split and only numbers for the others.
std::string classes_table(const std::vector<DataSummary>& summaries) {
  const DataSummary& first = summaries.front();
  if (first.classes.empty()) return "";
  std::string head =
      fmt::format("<th>class</th><th>objects ({0})</th><th>images ({0})</th>", escape_html(first.split));
  for (size_t i = 1; i < summaries.size(); ++i)
    head += fmt::format("<th>objects ({})</th>", escape_html(summaries[i].split));
  size_t max_boxes = 1;
  for (const ClassCount& count : first.classes) max_boxes = std::max(max_boxes, count.boxes);
  std::string rows;
  for (size_t c = 0; c < first.classes.size(); ++c) {
    const ClassCount& count = first.classes[c];
    rows += fmt::format("<tr><td>{}</td><td>{}{}</td><td>{}</td>", escape_html(count.name), count.boxes,
                        bar(static_cast<double>(count.boxes) / static_cast<double>(max_boxes), kAccent),
                        count.images);
    for (size_t i = 1; i < summaries.size(); ++i) {
      const ClassCount* other = find_class(summaries[i], count.name);
      rows += fmt::format("<td>{}</td>", other == nullptr ? 0 : other->boxes);
    }
    rows += "</tr>\n";
  }
  return table(head, rows, "", first.classes.size());
}

// ---- histograms

/// Adds the histogram of a split: the first split as columns, the others as outlines.
void add_shares(Chart& chart, const std::vector<double>& edges, const std::vector<float>& values,
                size_t split, const std::string& name) {
  const std::vector<double> shares = histogram(values, edges);
  ChartLine outline{{{edges.front(), 0}}, curve_colour(split)};
  outline.dash = curve_dash(split);
  outline.label = name;
  for (size_t i = 0; i < shares.size(); ++i) {
    if (split == 0) chart.bars.push_back({edges[i], edges[i + 1], shares[i], kColumns});
    outline.points.push_back({edges[i], shares[i]});
    outline.points.push_back({edges[i + 1], shares[i]});
  }
  outline.points.push_back({edges.back(), 0});
  if (split > 0) chart.lines.push_back(std::move(outline));
}

std::string legend(const std::vector<DataSummary>& summaries) {
  std::string entries;
  for (size_t i = 0; i < summaries.size(); ++i)
    if (!summaries[i].sizes.empty())
      entries += fmt::format("<span>{}{}</span>", i == 0 ? swatch(kColumns) : curve_key(i),
                             escape_html(summaries[i].split));
  return entries;
}

std::string sizes_figure(const ReportData& data) {
  constexpr double kBinsPerOctave = 4;
  Chart chart;
  chart.label =
      "Histogram of object sizes after resizing, percentage of objects over the square root of the area";
  double low = 0, high = 0;
  const auto reach = [&](float size) {
    if (!std::isfinite(size)) return;
    const double at_least_one = std::max(1.0, double{size});
    low = low > 0 ? std::min(low, at_least_one) : at_least_one;
    high = std::max(high, at_least_one);
  };
  for (const DataSummary& summary : data.summaries)
    for (const float size : summary.sizes) reach(size);
  if (!(low > 0)) return "";
  std::string sizes;
  for (const std::vector<float>& level : data.anchor_sizes)
    for (const float size : level) {
      if (!std::isfinite(size)) continue;
      reach(size);
      chart.marks.push_back({size, fmt::format("anchor size {:g} pixels", size)});
      sizes += fmt::format("{}{:g}", sizes.empty() ? "" : ", ", size);
    }
  std::vector<double> edges;
  const double first = std::floor(std::log2(low) * kBinsPerOctave);
  const double last = std::max(first + 1, std::ceil(std::log2(high) * kBinsPerOctave + 1e-9));
  for (double k = first; k <= last; ++k) edges.push_back(std::exp2(k / kBinsPerOctave));
  chart.x_logarithmic = true;
  chart.x_title = "object size after resizing, pixels";
  chart.y_title = "% of objects";
  chart.x_low = edges.front();
  chart.x_high = edges.back();
  for (size_t i = 0; i < data.summaries.size(); ++i)
    if (!data.summaries[i].sizes.empty())
      add_shares(chart, edges, data.summaries[i].sizes, i, data.summaries[i].split);
  const std::string anchors =
      sizes.empty() ? "" : fmt::format("<span class=\"note\">dashed: anchor sizes {}</span>", sizes);
  return chart_figure(fmt::format("Object sizes<div>{}</div>{}", legend(data.summaries), anchors), chart);
}

std::string overlaps_figure(const ReportData& data) {
  constexpr int kBins = 20;
  Chart chart;
  chart.label = "Histogram of the overlap (IoU) of each object with its best anchor, percentage of objects";
  chart.x_high = 1;
  chart.x_title = "IoU with the best anchor";
  chart.y_title = "% of objects";
  chart.marks.push_back({kCovered, "IoU .5"});
  std::vector<double> edges;
  for (int k = 0; k <= kBins; ++k) edges.push_back(static_cast<double>(k) / kBins);
  std::string below;
  for (size_t i = 0; i < data.summaries.size(); ++i) {
    const DataSummary& summary = data.summaries[i];
    if (summary.anchor_overlaps.empty()) continue;
    add_shares(chart, edges, summary.anchor_overlaps, i, summary.split);
    below += fmt::format("{}{} of {}", below.empty() ? "" : ", ", percent(summary.poorly_covered),
                         escape_html(summary.split));
  }
  if (below.empty()) return "";
  return chart_figure(fmt::format("Anchor coverage<div>{}</div>"
                                  "<span class=\"note\">below .5: {}</span>",
                                  legend(data.summaries), below),
                      chart);
}

}  // namespace

ReportSection data_section(const ReportData& data) {
  if (data.summaries.empty()) return {"data", "Dataset", "", ""};
  return {
      "data", "Dataset",
      "Object sizes are the square roots of box areas, in pixels after resizing to the network's input. An "
      "object that no anchor overlaps by an IoU of .5 or more is hard to learn. Ignored objects (difficult "
      "or crowd) are used neither in training nor in the evaluation.",
      splits_table(data.summaries) + charts("large", sizes_figure(data) + overlaps_figure(data)) +
          classes_table(data.summaries)};
}

ReportSection augmentation_section(const ReportData& data) {
  std::string figures;
  for (const ReportPicture& picture : data.augmented)
    figures += picture_figure(picture, "Training image " + picture.caption, escape_html(picture.caption));
  if (!figures.empty())
    figures = folded(fmt::format("{} training images, as the model saw them", data.augmented.size()),
                     fmt::format("<div class=\"sheet\">\n{}</div>\n", figures));
  return {
      "augmentation", "Augmented training images",
      "Training images with their ground truth, after augmentation. Check that the boxes are in the right "
      "places, and that the images still look like your own photographs. Dashed boxes are ignored "
      "objects.",
      figures};
}

}  // namespace rcnn
