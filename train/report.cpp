#include "train/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "core/atomic_file.h"
#include "data/draw.h"
#include "train/report_html.h"

namespace rcnn {
namespace {

constexpr const char* kAccent = "#1d4ed8";
constexpr const char* kSecond = "#fb6f24";
constexpr size_t kMaxOverlaid = 8;  // precision-recall curves in one chart; more get a chart each
constexpr size_t kMaxFaults = 200;

std::string css_colour(int label) {
  const Colour colour = class_colour(label);
  return fmt::format("#{:02x}{:02x}{:02x}", colour.r, colour.g, colour.b);
}

std::string section(std::string_view heading, const std::string& introduction, const std::string& body) {
  if (body.empty()) return "";
  return fmt::format("<section>\n<h2>{}</h2>\n<p>{}</p>\n{}</section>\n", heading, introduction, body);
}

// ---- head of the page

std::string tile(const std::string& value, const std::string& name, bool main = false) {
  return fmt::format("<div class=\"tile{}\"><b>{}</b><span>{}</span></div>\n", main ? " main" : "",
                     escape_html(value), escape_html(name));
}

std::string render_tiles(const ReportData& data) {
  std::string tiles;
  if (!data.result.classes.empty()) {
    tiles += tile(fmt::format("{:.3f}", data.result.map_area), "mAP@.5, area", true);
    tiles += tile(fmt::format("{:.3f}", data.result.map_11point), "mAP@.5, 11 points");
  }
  for (const auto& [name, value] : data.highlights) tiles += tile(value, name);
  return tiles.empty() ? "" : fmt::format("<div class=\"tiles\">\n{}</div>\n", tiles);
}

std::string render_facts(const ReportData& data) {
  std::string rows;
  for (const auto& [name, value] : data.facts)
    rows += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escape_html(name), escape_html(value));
  for (const auto& [name, value] : data.verbatim_facts)
    rows += fmt::format("<dt>{}</dt><dd><code>{}</code></dd>\n", escape_html(name), escape_html(value));
  return rows.empty() ? "" : fmt::format("<dl>\n{}</dl>\n", rows);
}

std::string render_settings(const ReportData& data) {
  std::string rows;
  for (const auto& [name, value] : data.settings)
    rows += fmt::format("<div><span>{}</span><code>{}</code></div>\n", escape_html(name), escape_html(value));
  if (rows.empty()) return "";
  return section("Settings", "All of them, as this run used them.",
                 fmt::format("<div class=\"settings\">\n{}</div>\n", rows));
}

// ---- training

std::string chart_figure(const std::string& caption, const Chart& chart) {
  return fmt::format("<figure class=\"chart\"><figcaption>{}</figcaption>{}</figure>\n", caption,
                     render_chart(chart));
}

std::string charts(std::string_view size, const std::string& figures) {
  return figures.empty() ? "" : fmt::format("<div class=\"charts {}\">\n{}</div>\n", size, figures);
}

/// A small chart's proportions.
Chart small_chart(const std::string& label) {
  Chart chart;
  chart.label = label;
  chart.width = 260;
  chart.height = 180;
  return chart;
}

/// The largest step of all series: the right end of every chart over steps.
double last_step(const ReportData& data) {
  double last = 1;
  const auto look_at = [&](const ReportSeries& series) {
    if (!series.points.empty()) last = std::max(last, series.points.back().x);
  };
  for (const ReportSeries& series : data.losses) look_at(series);
  for (const ReportSeries& series : data.validation) look_at(series);
  look_at(data.learning_rate);
  return last;
}

/// The smoothed curve over the raw one. The first steps' peaks would flatten all the rest, so the top is that
/// of the smoothed curve, or what 98 % of the raw values stay below.
Chart loss_chart(Chart chart, const ReportSeries& series, std::vector<ChartPoint> smoothed) {
  std::vector<double> values;
  double low = 0, high = 0;
  for (const ChartPoint& point : series.points)
    if (std::isfinite(point.y)) values.push_back(point.y), low = std::min(low, point.y);
  if (!values.empty()) {
    const auto rank = values.begin() + static_cast<ptrdiff_t>(values.size() * 98 / 100);
    std::nth_element(values.begin(), rank, values.end());
    high = *rank;
  }
  for (const ChartPoint& point : smoothed) high = std::max(high, point.y);
  chart.y_low = low;
  chart.y_high = 1.05 * high;
  const double width = chart.width > 400 ? 2.2 : 2;
  chart.lines.push_back({series.points, kAccent, 1, 0.22});
  chart.lines.push_back({std::move(smoothed), kAccent, width});
  return chart;
}

std::string loss_figure(const ReportSeries& series, double steps, bool large) {
  std::vector<ChartPoint> smoothed = smooth(series.points, std::max<size_t>(series.points.size() / 25, 1));
  if (smoothed.empty()) return "";
  const std::string caption =
      fmt::format("{}<span>{:.3f}</span>", escape_html(series.name), smoothed.back().y);
  Chart chart = large ? Chart{} : small_chart(series.name);
  chart.label = series.name;
  chart.x_high = steps;
  return chart_figure(caption, loss_chart(chart, series, std::move(smoothed)));
}

std::string validation_figure(const std::vector<ReportSeries>& validation, double steps) {
  Chart chart;
  chart.label = "mAP on the validation images";
  chart.x_high = steps;
  chart.y_high = 1;
  std::string legend;
  for (size_t i = 0; i < validation.size(); ++i) {
    if (validation[i].points.empty()) continue;
    const std::string colour = i == 0 ? kAccent : i == 1 ? kSecond : css_colour(static_cast<int>(i) + 1);
    chart.lines.push_back({validation[i].points, colour, 2.2, 1, validation[i].points.size() <= 60});
    legend += fmt::format("<span><i style=\"background:{}\"></i>{} {:.3f}</span>", colour,
                          escape_html(validation[i].name), validation[i].points.back().y);
  }
  return chart.lines.empty() ? ""
                             : chart_figure(fmt::format("mAP on validation<div>{}</div>", legend), chart);
}

std::string learning_rate_figure(const ReportSeries& series, double steps) {
  if (series.points.empty()) return "";
  Chart chart = small_chart("learning rate");
  chart.x_high = steps;
  chart.lines.push_back({series.points, "#5b6675"});
  return chart_figure("learning rate", chart);
}

std::string render_training(const ReportData& data) {
  const double steps = last_step(data);
  std::string large = validation_figure(data.validation, steps), small;
  for (size_t i = 0; i < data.losses.size(); ++i)
    (i == 0 ? large : small) += loss_figure(data.losses[i], steps, i == 0);
  small += learning_rate_figure(data.learning_rate, steps);
  return section(
      "Training",
      "Over the training steps. Losses: every step faint, their running mean on top, with its last "
      "value; peaks of the first steps are cut off.",
      charts("large", large) + charts("small", small));
}

// ---- evaluation

std::string table_row(const ClassResult& of_class, int label) {
  const std::string colour = css_colour(label);
  std::string row =
      fmt::format("<tr><td><i style=\"background:{}\"></i>{}</td>", colour, escape_html(of_class.name));
  if (of_class.truths > 0)
    row += fmt::format(
        "<td>{:.3f}<span class=\"bar\"><b "
        "style=\"width:{:.1f}%;background:{}\"></b></span></td><td>{:.3f}</td>",
        of_class.ap_area, 100 * of_class.ap_area, colour, of_class.ap_11point);
  else
    row += "<td>–</td><td>–</td>";
  return row + fmt::format("<td>{}</td><td>{}</td></tr>\n", of_class.truths, of_class.detections);
}

std::string render_table(const VocResult& result) {
  std::string rows;
  int64_t truths = 0, detections = 0;
  for (size_t i = 0; i < result.classes.size(); ++i) {
    rows += table_row(result.classes[i], static_cast<int>(i) + 1);
    truths += result.classes[i].truths;
    detections += result.classes[i].detections;
  }
  return fmt::format(
      "<table>\n<thead><tr><th>class</th><th>AP, area</th><th>11 "
      "points</th><th>objects</th><th>detections</th></tr>"
      "</thead>\n<tbody>\n{}</tbody>\n<tfoot><tr><td>mean, sum</td><td>{:.3f}<span class=\"bar\"><b "
      "style=\"width:{:.1f}%;background:{}\"></b></span></td><td>{:.3f}</td><td>{}</td><td>{}</td></tr></"
      "tfoot>\n"
      "</table>\n",
      rows, result.map_area, 100 * result.map_area, kAccent, result.map_11point, truths, detections);
}

/// Precision over recall, from recall 0 on.
ChartLine recall_line(const ClassResult& of_class, int label, bool filled) {
  ChartLine line;
  line.colour = css_colour(label);
  line.filled = filled;
  for (size_t i = 0; i < of_class.recall.size(); ++i)
    line.points.push_back({double{of_class.recall[i]}, double{of_class.precision[i]}});
  if (!line.points.empty()) line.points.insert(line.points.begin(), {0, line.points.front().y});
  return line;
}

Chart recall_chart(Chart chart, const std::string& label) {
  chart.label = label;
  chart.x_high = 1;
  chart.y_high = 1;
  return chart;
}

std::string overlaid_curves(const VocResult& result) {
  Chart chart = recall_chart({}, "precision over recall, one curve a class");
  chart.height = 340;
  for (size_t i = 0; i < result.classes.size(); ++i)
    if (result.classes[i].truths > 0)
      chart.lines.push_back(recall_line(result.classes[i], static_cast<int>(i) + 1, false));
  return chart_figure("precision over recall<span>colours as in the table</span>", chart);
}

std::string separate_curves(const VocResult& result) {
  std::string figures;
  for (size_t i = 0; i < result.classes.size(); ++i) {
    const ClassResult& of_class = result.classes[i];
    if (of_class.truths == 0) continue;
    Chart chart = recall_chart(small_chart({}), "precision over recall of " + of_class.name);
    chart.lines.push_back(recall_line(of_class, static_cast<int>(i) + 1, true));
    figures += chart_figure(
        fmt::format("{}<span>{:.3f}</span>", escape_html(of_class.name), of_class.ap_area), chart);
  }
  return charts("small", figures);
}

std::string render_evaluation(const ReportData& data) {
  const VocResult& result = data.result;
  if (result.classes.empty()) return "";
  const std::string where =
      data.evaluated_on.empty() ? "" : fmt::format("On {}. ", escape_html(data.evaluated_on));
  const std::string table = render_table(result);
  const bool overlaid = result.classes.size() <= kMaxOverlaid;
  return section("Average precision by class",
                 where +
                     "A detection is right when it overlaps an object of its class by half or more "
                     "(intersection over union), and is the first to do so.",
                 overlaid ? fmt::format("<div class=\"beside\">\n<div>{}</div>\n<div>{}</div></div>\n",
                                        overlaid_curves(result), table)
                          : table + "<p>Precision over recall:</p>\n" + separate_curves(result));
}

// ---- examples and faults

std::string image_element(const Image& image, const std::string& name) {
  const Image shown = shrink_to_width(image, kReportImageWidth);
  return fmt::format("<div><span>{0}</span><img src=\"{1}\" width=\"{2}\" height=\"{3}\" alt=\"{0}\"/></div>",
                     name, image_address(shown), shown.width, shown.height);
}

std::string render_examples(const ReportData& data) {
  std::string figures;
  for (const ReportExample& example : data.examples)
    figures += fmt::format(
        "<figure class=\"example\"><div class=\"pair\">{}{}</div><figcaption>{}</figcaption>"
        "</figure>\n",
        image_element(example.truth, "Ground truth"), image_element(example.detected, "Detected"),
        escape_html(example.caption));
  if (figures.empty()) return "";
  return section("What it detects", "Each image with its ground truth, and with what the model says.",
                 fmt::format("<div class=\"examples\">\n{}</div>\n", figures));
}

std::string render_faults(const std::vector<Fault>& faults) {
  std::string items;
  for (size_t i = 0; i < std::min(faults.size(), kMaxFaults); ++i)
    items += fmt::format("<li>{}</li>\n", escape_html(faults[i].what));
  if (faults.size() > kMaxFaults) items += fmt::format("<li>and {} more</li>\n", faults.size() - kMaxFaults);
  if (items.empty()) return "";
  return section("Faults in the data", fmt::format("{} found; reading went on.", faults.size()),
                 fmt::format("<ul>\n{}</ul>\n", items));
}

}  // namespace

Image shrink_to_width(const Image& image, int width) {
  if (image.width <= width || width < 1) return image;
  Image small(width, std::max(1, static_cast<int>(int64_t{image.height} * width / image.width)));
  for (int y = 0; y < small.height; ++y) {
    const auto y1 = static_cast<int>(int64_t{y} * image.height / small.height);
    const auto y2 = static_cast<int>((int64_t{y + 1} * image.height + small.height - 1) / small.height);
    for (int x = 0; x < width; ++x) {
      const auto x1 = static_cast<int>(int64_t{x} * image.width / width);
      const auto x2 = static_cast<int>((int64_t{x + 1} * image.width + width - 1) / width);
      const int count = (y2 - y1) * (x2 - x1);
      for (int c = 0; c < 3; ++c) {
        int sum = count / 2;
        for (int v = y1; v < y2; ++v)
          for (int u = x1; u < x2; ++u) sum += image.pixel(u, v)[c];
        small.pixel(x, y)[c] = static_cast<uint8_t>(sum / count);
      }
    }
  }
  return small;
}

std::string render_report(const ReportData& data) {
  // The policy keeps the page's promise: a browser loads nothing and runs nothing, whatever the names say.
  // Elements are closed as in XML, so that the tests can check that the page is well-formed.
  std::string page = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
      "style-src 'unsafe-inline'\"/>\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n",
      escape_html(data.title), kReportStyle);
  page += fmt::format("<header>\n<h1>{}</h1>\n", escape_html(data.title));
  if (!data.subtitle.empty()) page += fmt::format("<p>{}</p>\n", escape_html(data.subtitle));
  page += "</header>\n";
  page += render_tiles(data);
  page += render_facts(data);
  page += render_training(data);
  page += render_evaluation(data);
  page += render_examples(data);
  page += render_faults(data.faults);
  page += render_settings(data);
  page += "</main>\n</body>\n</html>\n";
  return page;
}

void write_report(const std::filesystem::path& path, const ReportData& data) {
  write_atomically(path, render_report(data));
}

}  // namespace rcnn
