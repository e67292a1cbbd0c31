// Line charts and histograms as SVG, for the report.
#pragma once

#include <string>
#include <vector>

namespace rcnn {

struct ChartPoint {
  double x = 0, y = 0;
};

/// One curve of a chart, by ascending x. Points that are not finite are left out.
struct ChartLine {
  std::vector<ChartPoint> points;
  std::string colour = "#1d4ed8";  // as CSS writes it
  double width = 2;
  double opacity = 1;
  bool dots = false;    // a dot with a tooltip at every point
  bool filled = false;  // the area below is tinted
};

/// A column of a histogram, from the axis up.
struct ChartBar {
  double x_low = 0, x_high = 0, y = 0;
  std::string colour = "#1d4ed8";
};

/// A dashed line at one x, as high as the chart, with a tooltip.
struct ChartMark {
  double x = 0;
  std::string text;
  std::string colour = "#17202e";
};

/// A chart without any text but its ticks: title and legend are the page's.
struct Chart {
  std::string label;                 // what it shows, for screen readers
  double width = 520, height = 270;  // in the SVG's own units; the page scales it
  std::vector<ChartBar> bars;        // drawn first
  std::vector<ChartLine> lines;      // drawn in this order
  std::vector<ChartMark> marks;      // drawn last
  /// The range shown; where low = high it is that of bars and lines, y from 0. What lies outside is cut off.
  double x_low = 0, x_high = 0, y_low = 0, y_high = 0;
  bool x_logarithmic = false;  // x_low > 0 is then required
};

/// The chart as an <svg> element.
std::string render_chart(const Chart& chart);

/// The curve averaged over `window` neighbouring points, centred; fewer at the ends. Points that are not
/// finite are left out first.
std::vector<ChartPoint> smooth(const std::vector<ChartPoint>& points, size_t window);

/// Of the values in each bin the share, percent: bin i is [edges[i], edges[i + 1]), and what lies outside
/// counts in the first or the last. NaN is left out. Without a value every share is 0.
std::vector<double> histogram(const std::vector<float>& values, const std::vector<double>& edges);

/// Round numbers from `low` to `high`, at most `count` + 1 of them: a distance of 1, 2 or 5 times a power
/// of 10.
std::vector<double> round_ticks(double low, double high, int count);

}  // namespace rcnn
