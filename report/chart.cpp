#include "report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>

#include "report/curve_labels.h"
#include "report/html.h"

namespace rcnn {
namespace {

constexpr double kLeft = 44, kRight = 12, kTop = 10, kBottom = 26;  // margins with the ticks
constexpr double kTitle = 19;                                       // room for the title of an axis
// More points than this cannot be distinguished at the width of a screen.
constexpr size_t kMaxPoints = 600;

std::vector<ChartPoint> finite(const std::vector<ChartPoint>& points) {
  std::vector<ChartPoint> kept;
  std::copy_if(points.begin(), points.end(), std::back_inserter(kept),
               [](const ChartPoint& p) { return std::isfinite(p.x) && std::isfinite(p.y); });
  return kept;
}

/// Reduces the points to about kMaxPoints. Each group of neighbours is replaced by its lowest and highest
/// point, so that no peak is lost.
std::vector<ChartPoint> thin_out(const std::vector<ChartPoint>& points) {
  if (points.size() <= kMaxPoints) return points;
  const size_t group = (points.size() + kMaxPoints / 2 - 1) / (kMaxPoints / 2);
  const auto lower = [](const ChartPoint& a, const ChartPoint& b) { return a.y < b.y; };
  std::vector<ChartPoint> kept;
  for (size_t begin = 0; begin < points.size(); begin += group) {
    const auto first = points.begin() + static_cast<ptrdiff_t>(begin);
    const auto last = points.begin() + static_cast<ptrdiff_t>(std::min(begin + group, points.size()));
    const auto [low, high] = std::minmax_element(first, last, lower);
    kept.push_back(*std::min(low, high));
    if (low != high) kept.push_back(*std::max(low, high));
  }
  return kept;
}

/// The text of a tick: "2,500", "0.25" or "1e-05". `step` is the distance of the ticks and determines the
/// number of digits.
std::string tick_text(double value, double step) {
  if (value == 0) return "0";
  if (std::abs(value) < 1e-4 || std::abs(value) >= 1e7) return fmt::format("{:.2g}", value);
  if (step >= 1) {
    std::string digits = fmt::format("{:.0f}", value);
    for (auto i = static_cast<ptrdiff_t>(digits.size()) - 3; i > (value < 0 ? 1 : 0); i -= 3)
      digits.insert(static_cast<size_t>(i), 1, ',');
    return digits;
  }
  return fmt::format("{:.{}f}", value, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
}

/// Maps values to positions in the picture.
struct Frame {
  double width, height;
  double x_low, x_high, y_low, y_high;
  bool logarithmic;
  double left, bottom;  // margins, with the titles of the axes

  double x(double value) const {
    const double share = logarithmic ? std::log(std::max(value, x_low) / x_low) / std::log(x_high / x_low)
                                     : (value - x_low) / (x_high - x_low);
    return left + share * (width - left - kRight);
  }
  double y(double value) const {
    return height - bottom - (value - y_low) / (y_high - y_low) * (height - kTop - bottom);
  }
};

Frame make_frame(const Chart& chart) {
  Frame frame{chart.width,
              chart.height,
              chart.x_low,
              chart.x_high,
              chart.y_low,
              chart.y_high,
              chart.x_logarithmic,
              kLeft + (chart.y_title.empty() ? 0 : kTitle),
              kBottom + (chart.x_title.empty() ? 0 : kTitle)};
  const bool find_x = !(frame.x_low < frame.x_high), find_y = !(frame.y_low < frame.y_high);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (find_x) frame.x_low = kInfinity, frame.x_high = -kInfinity;
  if (find_y) frame.y_low = frame.y_high = 0;
  const auto show = [&](double x, double y) {
    if (find_x) frame.x_low = std::min(frame.x_low, x), frame.x_high = std::max(frame.x_high, x);
    if (find_y) frame.y_low = std::min(frame.y_low, y), frame.y_high = std::max(frame.y_high, y);
  };
  for (const ChartLine& line : chart.lines)
    for (const ChartPoint& point : line.points) show(point.x, point.y);
  for (const ChartBar& bar : chart.bars) show(bar.x_low, bar.y), show(bar.x_high, bar.y);
  if (!std::isfinite(frame.x_low)) frame.x_low = frame.x_high = 0;  // there are no points
  if (frame.logarithmic && !(frame.x_low > 0)) frame.x_low = frame.x_high = 1;
  if (!(frame.x_low < frame.x_high)) frame.x_high = frame.x_low + 1;
  if (!(frame.y_low < frame.y_high)) frame.y_high = frame.y_low + 1;
  if (find_y) frame.y_high += 0.05 * (frame.y_high - frame.y_low);
  return frame;
}

/// Ticks at 1, 2 and 5 times powers of 10 if a logarithmic axis has room for them, otherwise only at the
/// powers.
std::vector<double> logarithmic_ticks(double low, double high, int count) {
  for (const bool all : {true, false}) {
    std::vector<double> ticks;
    for (double power = std::pow(10, std::floor(std::log10(low))); power <= high; power *= 10)
      for (const double factor : {1.0, 2.0, 5.0})
        if ((all || factor == 1) && factor * power >= low && factor * power <= high)
          ticks.push_back(factor * power);
    if (!all || ticks.size() <= static_cast<size_t>(count)) return ticks;
  }
  return {};
}

std::string render_grid(const Frame& frame) {
  std::string svg;
  const std::vector<double> ys = round_ticks(frame.y_low, frame.y_high, frame.height > 200 ? 5 : 4);
  for (const double tick : ys) {
    const double y = frame.y(tick);
    svg += fmt::format(R"(<line class="grid" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>)", frame.left,
                       y, frame.width - kRight, y);
    svg += fmt::format(R"(<text x="{:.1f}" y="{:.1f}" dy=".35em" text-anchor="end">{}</text>)",
                       frame.left - 7, y, tick_text(tick, ys.size() > 1 ? ys[1] - ys[0] : tick));
  }
  const std::vector<double> xs = frame.logarithmic
                                     ? logarithmic_ticks(frame.x_low, frame.x_high, 8)
                                     : round_ticks(frame.x_low, frame.x_high, frame.width > 400 ? 5 : 3);
  for (const double tick : xs) {
    const double x = frame.x(tick);
    const char* anchor = x > frame.width - kRight - 14 ? "end" : "middle";
    svg += fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>)",
                       x > frame.width - kRight - 14 ? frame.width - kRight : x,
                       frame.height - frame.bottom + 19, anchor,
                       tick_text(tick, frame.logarithmic || xs.size() < 2 ? tick : xs[1] - xs[0]));
  }
  svg += fmt::format(R"(<line class="axis" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>)", frame.left,
                     frame.height - frame.bottom, frame.width - kRight, frame.height - frame.bottom);
  return svg;
}

std::string render_titles(const Chart& chart, const Frame& frame) {
  std::string svg;
  if (!chart.x_title.empty())
    svg += fmt::format(R"(<text class="axis-title" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)",
                       (frame.left + frame.width - kRight) / 2, frame.height - 5, escape_html(chart.x_title));
  if (!chart.y_title.empty())
    svg += fmt::format(
        "<text class=\"axis-title\" text-anchor=\"middle\" transform=\"rotate(-90 13 {0:.1f})\" x=\"13\" "
        "y=\"{0:.1f}\">{1}</text>",
        (kTop + frame.height - frame.bottom) / 2, escape_html(chart.y_title));
  return svg;
}

std::string render_line(const ChartLine& line, const Frame& frame) {
  const std::vector<ChartPoint> points = thin_out(line.points);
  if (points.empty()) return "";
  std::string path;
  for (const ChartPoint& point : points)
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? 'M' : 'L', frame.x(point.x), frame.y(point.y));
  std::string svg;
  if (line.filled)
    svg += fmt::format(R"(<path d="{}L{:.1f} {:.1f}L{:.1f} {:.1f}Z" fill="{}" fill-opacity=".12"/>)", path,
                       frame.x(points.back().x), frame.y(frame.y_low), frame.x(points.front().x),
                       frame.y(frame.y_low), line.colour);
  svg += fmt::format(
      R"(<path d="{}" fill="none" stroke="{}" stroke-width="{}" stroke-opacity="{}" stroke-linejoin="round")"
      R"( {}/>)",
      path, line.colour, line.width, line.opacity,
      line.dash.empty() ? R"(stroke-linecap="round")" : fmt::format(R"(stroke-dasharray="{}")", line.dash));
  if (!line.dots) return svg;
  for (const ChartPoint& point : points)
    svg += fmt::format(
        R"(<circle cx="{:.1f}" cy="{:.1f}" r="{}" fill="{}"><title>{:g}: {:.4g}</title></circle>)",
        frame.x(point.x), frame.y(point.y), line.width + 1, line.colour, point.x, point.y);
  return svg;
}

std::string render_bar(const ChartBar& bar, const Frame& frame) {
  const double left = frame.x(bar.x_low) + 0.5, right = frame.x(bar.x_high) - 0.5, top = frame.y(bar.y);
  if (!(bar.y > 0)) return "";
  return fmt::format(
      R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"><title>{:.4g} to {:.4g}: {:.3g}</title></rect>)",
      left, top, std::max(right - left, 0.5), frame.y(frame.y_low) - top, bar.colour, bar.x_low, bar.x_high,
      bar.y);
}

std::string render_mark(const ChartMark& mark, const Frame& frame) {
  return fmt::format(
      R"(<line x1="{0:.1f}" y1="{1:.1f}" x2="{0:.1f}" y2="{2:.1f}" stroke="{3}" stroke-width="1.5")"
      R"( stroke-dasharray="4 3"><title>{4}</title></line>)",
      frame.x(mark.x), kTop - 4, frame.height - frame.bottom, mark.colour, escape_html(mark.text));
}

/// The names of the curves, each beside its own. The halo keeps them legible where they cross a line.
std::string render_labels(const Chart& chart, const Frame& frame) {
  std::vector<DrawnCurve> curves;
  for (const ChartLine& line : chart.lines) {
    DrawnCurve curve{{}, utf8_count(line.label)};
    for (const ChartPoint& point : line.points) curve.points.push_back({frame.x(point.x), frame.y(point.y)});
    curves.push_back(std::move(curve));
  }
  const LabelArea area{frame.left + 3, kTop, frame.width - kRight, frame.height - frame.bottom - 2};
  const std::vector<std::optional<ChartPoint>> places = place_labels(curves, area);
  std::string svg;
  for (size_t i = 0; i < places.size(); ++i)
    if (places[i])
      svg += fmt::format(
          R"(<text class="curve" x="{:.1f}" y="{:.1f}" dy=".35em" text-anchor="middle" style="fill:{}">{}</text>)",
          places[i]->x, places[i]->y, chart.lines[i].colour, escape_html(chart.lines[i].label));
  return svg;
}

}  // namespace

std::vector<ChartPoint> smooth(const std::vector<ChartPoint>& points, size_t window) {
  const std::vector<ChartPoint> all = finite(points);
  std::vector<ChartPoint> result;
  const size_t reach = window / 2;
  for (size_t i = 0; i < all.size(); ++i) {
    const size_t begin = i - std::min(i, reach), end = std::min(i + reach + 1, all.size());
    double sum = 0;
    for (size_t j = begin; j < end; ++j) sum += all[j].y;
    result.push_back({all[i].x, sum / static_cast<double>(end - begin)});
  }
  return result;
}

std::vector<double> histogram(const std::vector<float>& values, const std::vector<double>& edges) {
  if (edges.size() < 2) return {};
  std::vector<double> shares(edges.size() - 1);
  double count = 0;
  for (const float value : values) {
    if (std::isnan(value)) continue;
    const auto after = std::upper_bound(edges.begin() + 1, edges.end() - 1, double{value});
    ++shares[static_cast<size_t>(after - edges.begin() - 1)];
    ++count;
  }
  for (double& share : shares) share = count > 0 ? 100 * share / count : 0;
  return shares;
}

std::vector<double> round_ticks(double low, double high, int count) {
  if (!(low < high) || count < 1 || !std::isfinite(high - low)) return {low};
  const double rough = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0})
    if (factor * power >= rough * (1 - 1e-9)) step = factor * power;
  std::vector<double> ticks;
  const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
  for (double k = first; k <= last; ++k) ticks.push_back(k * step);
  return ticks;
}

std::string render_chart(const Chart& chart) {
  Chart shown = chart;
  for (ChartLine& line : shown.lines) line.points = finite(line.points);
  std::erase_if(shown.bars,
                [](const ChartBar& bar) { return !std::isfinite(bar.x_low + bar.x_high + bar.y); });
  std::erase_if(shown.marks, [](const ChartMark& mark) { return !std::isfinite(mark.x); });
  const Frame frame = make_frame(shown);
  // A nested <svg> cuts off whatever lies outside the frame. A <clipPath> would need an id that is unique in
  // the page.
  std::string lines = fmt::format(
      R"(<svg x="{0}" y="{1}" width="{2}" height="{3}" viewBox="{0} {1} {2} {3}">)", frame.left - 4, kTop - 4,
      chart.width - frame.left - kRight + 8, chart.height - kTop - frame.bottom + 8);
  for (const ChartBar& bar : shown.bars) lines += render_bar(bar, frame);
  for (const ChartLine& line : shown.lines) lines += render_line(line, frame);
  for (const ChartMark& mark : shown.marks) lines += render_mark(mark, frame);
  return fmt::format(R"(<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}</svg>{}</svg>)",
                     chart.width, chart.height, escape_html(chart.label), render_grid(frame),
                     render_titles(shown, frame), lines, render_labels(shown, frame));
}

}  // namespace rcnn
