// The report's curves over the training steps.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html.h"
#include "report/sections.h"

namespace rcnn {
namespace {

/// The largest step of all series, which is the right end of every chart over steps.
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

/// Draws the smoothed curve over the raw one. The peaks of the first steps would flatten the rest of the
/// curve, so the chart ends at the top of the smoothed curve or at the 98th percentile of the raw values,
/// whichever is higher.
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
  chart.label = "mean average precision (mAP) on the validation split";
  chart.x_high = steps;
  chart.y_high = 1;
  std::string legend;
  for (size_t i = 0; i < validation.size(); ++i) {
    const std::vector<ChartPoint> points = smooth(validation[i].points, 1);  // keeps the finite points
    if (points.empty()) continue;
    const std::string colour = i == 0 ? kAccent : i == 1 ? kSecond : css_colour(static_cast<int>(i) + 1);
    chart.lines.push_back({points, colour, 2.2, 1, points.size() <= 60});
    legend += fmt::format("<span>{}{} {:.3f}</span>", swatch(colour), escape_html(validation[i].name),
                          points.back().y);
  }
  return chart.lines.empty()
             ? ""
             : chart_figure(fmt::format("mAP on the validation split<div>{}</div>", legend), chart);
}

std::string learning_rate_figure(const ReportSeries& series, double steps) {
  if (series.points.empty()) return "";
  Chart chart = small_chart("learning rate");
  chart.x_high = steps;
  chart.lines.push_back({series.points, "#5b6675"});
  return chart_figure("learning rate", chart);
}

}  // namespace

ReportSection training_section(const ReportData& data) {
  const double steps = last_step(data);
  std::string large = validation_figure(data.validation, steps), small;
  for (size_t i = 0; i < data.losses.size(); ++i)
    (i == 0 ? large : small) += loss_figure(data.losses[i], steps, i == 0);
  small += learning_rate_figure(data.learning_rate, steps);
  return {"training", "Loss and learning rate",
          "All values are plotted over the training steps. A loss is shown for every step (faint) and as a "
          "running mean, whose last value is in the caption. Peaks of the first steps are cut off.",
          charts("large", large) + charts("small", small)};
}

}  // namespace rcnn
