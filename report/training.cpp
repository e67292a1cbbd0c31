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
  chart.x_title = "training step";
  chart.y_title = "loss";
  chart.lines.push_back({series.points, kAccent, 1, 0.22});
  chart.lines.push_back({std::move(smoothed), kAccent, width});
  return chart;
}

std::string loss_figure(const ReportSeries& series, double steps, bool large) {
  std::vector<ChartPoint> smoothed = smooth(series.points, std::max<size_t>(series.points.size() / 25, 1));
  if (smoothed.empty()) return "";
  const std::string caption =
      fmt::format("{} loss<span>{:.3f}</span>", escape_html(series.name), smoothed.back().y);
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
  chart.x_title = "training step";
  chart.y_title = "mAP";
  std::string legend;
  for (size_t i = 0; i < validation.size(); ++i) {
    const std::vector<ChartPoint> points = smooth(validation[i].points, 1);  // keeps the finite points
    if (points.empty()) continue;
    chart.lines.push_back({points, curve_colour(i), 2.2, 1, points.size() <= 60});
    chart.lines.back().dash = curve_dash(i);
    chart.lines.back().label = validation[i].name;
    legend += fmt::format("<span>{}{} {:.3f}</span>", curve_key(i), escape_html(validation[i].name),
                          points.back().y);
  }
  return chart.lines.empty() ? "" : chart_figure(fmt::format("Validation mAP<div>{}</div>", legend), chart);
}

std::string learning_rate_figure(const ReportSeries& series, double steps, bool large) {
  if (series.points.empty()) return "";
  Chart chart = large ? Chart{} : small_chart("learning rate");
  chart.label = "learning rate";
  chart.x_high = steps;
  chart.x_title = "training step";
  chart.y_title = "learning rate";
  chart.lines.push_back({series.points, "var(--soft)"});
  return chart_figure("learning rate", chart);
}

}  // namespace

ReportSection training_section(const ReportData& data) {
  const double steps = last_step(data);
  std::string large = validation_figure(data.validation, steps), small;
  for (size_t i = 0; i < data.losses.size(); ++i)
    (i == 0 ? large : small) += loss_figure(data.losses[i], steps, i == 0);
  // Two large charts, side by side, also without a validation split.
  const bool beside = data.validation.empty();
  (beside ? large : small) += learning_rate_figure(data.learning_rate, steps, beside);
  std::string introduction =
      "A loss is shown for every step (thin) and as a running mean (thick), whose last value is in the "
      "caption. Peaks of the first steps are cut off. The losses should fall and then level off; if they "
      "still "
      "fall at the end, train longer.";
  if (!beside)
    introduction +=
        " If the validation mAP falls while the losses fall, the model overfits: stop earlier or add images.";
  return {"training",
          beside ? "Training: loss and learning rate" : "Training: loss, validation mAP and learning rate",
          introduction, charts("large", large) + charts("small", small)};
}

}  // namespace rcnn
