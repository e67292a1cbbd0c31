// Line charts and histograms as SVG, for the report.
#pragma once

#include <string>
#include <vector>

namespace rcnn {

struct ChartPoint {
  double x = 0, y = 0;
};

/// One curve of a chart, with its points in order of ascending x. Points that are not finite are left out.
struct ChartLine {
  std::vector<ChartPoint> points;
  std::string colour = "var(--c1)";  // in CSS notation
  double width = 2;
  double opacity = 1;
  bool dots = false;       // a dot with a tooltip at every point
  bool filled = false;     // tints the area below the curve
  std::string dash = {};   // the lengths of dashes and gaps, as in SVG; empty: a solid line
  std::string label = {};  // plain text, written beside the curve
};

/// A column of a histogram, from the axis up to y.
struct ChartBar {
  double x_low = 0, x_high = 0, y = 0;
  std::string colour = "var(--c1)";
};

/// A dashed vertical line at one x, as high as the chart, with a tooltip.
struct ChartMark {
  double x = 0;
  std::string text;
  std::string colour = "var(--ink)";
};

/// A chart with ticks, the titles of its axes, and the labels of its curves. The page adds a caption.
struct Chart {
  std::string label;                 // a description for screen readers
  double width = 520, height = 270;  // in units of the SVG, which the page scales
  std::vector<ChartBar> bars;        // drawn first
  std::vector<ChartLine> lines;      // drawn in this order
  std::vector<ChartMark> marks;      // drawn last
  /// The range of the axes. If low = high, it is the range of the bars and lines, with y starting at 0.
  /// Values outside the range are cut off.
  double x_low = 0, x_high = 0, y_low = 0, y_high = 0;
  bool x_logarithmic = false;              // requires x_low > 0
  std::string x_title = {}, y_title = {};  // plain text; empty: no title, and no room for one
};

/// The chart as an <svg> element.
std::string render_chart(const Chart& chart);

/// The centred running mean of the curve over `window` neighbouring points, fewer at the ends. Points that
/// are not finite are left out first.
std::vector<ChartPoint> smooth(const std::vector<ChartPoint>& points, size_t window);

/// The percentage of the values in each bin. Bin i is [edges[i], edges[i + 1]); values outside all bins count
/// in the first or the last. NaN is left out. All percentages are 0 if there are no values.
std::vector<double> histogram(const std::vector<float>& values, const std::vector<double>& edges);

/// At most `count` + 1 round numbers from `low` to `high`, whose distance is 1, 2 or 5 times a power of 10.
std::vector<double> round_ticks(double low, double high, int count);

}  // namespace rcnn
