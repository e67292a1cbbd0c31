#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "bench/lab_results.h"
#include "core/counted.h"
#include "core/files/output.h"

namespace rcnn {
namespace {

constexpr double kWidth = 960, kHeight = 600, kLeft = 76, kRight = 24, kTop = 64, kBottom = 58;
constexpr double kLegend = 200;  // on the right

/// One axis: a range of powers of ten as places in the picture.
struct LogAxis {
  double low = 0, high = 1;  // logarithms
  double from = 0, to = 1;

  double operator()(double value) const {
    return from + (std::log10(value) - low) / (high - low) * (to - from);
  }
};

LogAxis axis_over(double smallest, double largest, double from, double to) {
  LogAxis axis{std::log10(smallest) - 0.15, std::log10(largest) + 0.15, from, to};
  if (axis.high - axis.low < 1) axis.high = axis.low + 1;
  return axis;
}

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text)
    safe += c == '<' ? "&lt;" : c == '&' ? "&amp;" : c == '>' ? "&gt;" : std::string(1, c);
  return safe;
}

std::string text_at(double x, double y, const std::string& text, const char* attributes = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" {}>{}</text>\n", x, y, attributes, escaped(text));
}

std::string rate_text(double flops) {
  return flops >= 1e12 ? fmt::format("{:.3g} TFLOP/s", flops * 1e-12)
                       : fmt::format("{:.3g} GFLOP/s", flops * 1e-9);
}

/// Colours that are told apart with every kind of colour vision (Okabe and Ito), then repeated as rings.
constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                    "#e69f00", "#56b4e9", "#7f7f7f"};

std::string grid(const LogAxis& x, const LogAxis& y) {
  std::string svg;
  const auto each_tick = [](const LogAxis& axis, const auto& visit) {
    for (int power = static_cast<int>(std::floor(axis.low)); power <= axis.high; ++power)
      for (const int digit : {1, 2, 5}) {
        const double value = digit * std::pow(10.0, power), at = std::log10(value);
        if (at >= axis.low && at <= axis.high) visit(value, digit == 1);
      }
  };
  each_tick(x, [&](double value, bool main) {
    svg += fmt::format("<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\" stroke=\"{3}\"/>\n",
                       x(value), y.from, y.to, main ? "#d8dce2" : "#eef0f3");
    svg +=
        text_at(x(value), y.from + 18, fmt::format("{:g}", value), "text-anchor=\"middle\" class=\"tick\"");
  });
  each_tick(y, [&](double value, bool main) {
    svg += fmt::format("<line y1=\"{0:.1f}\" y2=\"{0:.1f}\" x1=\"{1:.1f}\" x2=\"{2:.1f}\" stroke=\"{3}\"/>\n",
                       y(value), x.from, x.to, main ? "#d8dce2" : "#eef0f3");
    svg += text_at(x.from - 8, y(value) + 4, fmt::format("{:g}", value * 1e-9),
                   "text-anchor=\"end\" class=\"tick\"");
  });
  return svg;
}

/// The slope of the memory and the flat roof of a precision.
std::string roof_line(const LogAxis& x, const LogAxis& y, double copy, double peak, const std::string& name,
                      bool slope) {
  const double low = std::pow(10, x.low), high = std::pow(10, x.high);
  const double knee = std::clamp(peak / copy, low, high);
  std::string points;
  if (slope) {
    const double start = std::max(low, std::pow(10, y.low) / copy);
    points = fmt::format("{:.1f},{:.1f} ", x(start), y(copy * start));
  }
  points += fmt::format("{:.1f},{:.1f} {:.1f},{:.1f}", x(knee), y(std::min(peak, copy * knee)), x(high),
                        y(std::min(peak, copy * high)));
  return fmt::format(
             "<polyline points=\"{}\" fill=\"none\" stroke=\"#30343a\" stroke-width=\"2.5\" "
             "stroke-linejoin=\"round\"/>\n",
             points) +
         text_at(x(knee) + 8, y(peak) - 8, name, "class=\"roof\"");
}

}  // namespace

std::string lab_roofline(const LabRun& run, const std::vector<TimedRow>& rows) {
  std::vector<const TimedRow*> drawn;
  std::vector<std::string> variants;
  for (const TimedRow& row : rows) {
    if (!row.error.empty() || row.flop <= 0 || row.timing.seconds <= 0) continue;
    drawn.push_back(&row);
    if (std::ranges::find(variants, row.variant) == variants.end()) variants.push_back(row.variant);
  }
  /// How the dots of a variant look: full in the first colours, rings in the next ones.
  const auto look_of = [&](const std::string& variant) {
    const auto at = static_cast<size_t>(std::ranges::find(variants, variant) - variants.begin());
    const char* colour = kColours[at % std::size(kColours)];
    return at < std::size(kColours)
               ? fmt::format("r=\"5.5\" fill=\"{}\" fill-opacity=\"0.85\" stroke=\"#fff\"", colour)
               : fmt::format("r=\"4.5\" fill=\"#fff\" stroke=\"{}\" stroke-width=\"2.5\"", colour);
  };
  double low_x = 1e30, high_x = 0, low_y = 1e30, high_y = 0;
  for (const TimedRow* row : drawn) {
    const double intensity = row->flop / row->bytes, rate = row->flop / row->timing.seconds;
    low_x = std::min(low_x, intensity), high_x = std::max(high_x, intensity);
    low_y = std::min(low_y, rate), high_y = std::max(high_y, rate);
  }
  for (const auto& [precision, peak] : run.roofs.products) high_y = std::max(high_y, peak);
  if (drawn.empty()) low_x = 1, high_x = 100, low_y = 1e9, high_y = std::max(high_y, 1e11);
  if (run.roofs.copy > 0 && !run.roofs.products.empty()) {  // the knee belongs into the picture
    const double knee = run.roofs.products.begin()->second / run.roofs.copy;
    low_x = std::min(low_x, knee / 3), high_x = std::max(high_x, knee * 3);
  }
  const LogAxis x = axis_over(low_x, high_x, kLeft, kWidth - kRight - kLegend),
                y = axis_over(low_y, high_y * 1.3, kHeight - kBottom, kTop);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
      "font-family=\"system-ui, sans-serif\">\n<!-- {2} -->\n<style>.tick {{ font-size: 12px; fill: #5a616b "
      "}} "
      ".roof {{ font-size: 13px; fill: #30343a }} .key {{ font-size: 13px; fill: #30343a }}</style>\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n",
      kWidth, kHeight, kWrittenHere);
  svg += text_at(kLeft, 26, run.device == "cpu" ? run.machine : run.device,
                 "font-size=\"17\" font-weight=\"600\" fill=\"#30343a\"");
  svg += text_at(kLeft, 46,
                 fmt::format("{}, commit {}, {}", counted(run.threads, "thread"), run.commit, run.date),
                 "class=\"tick\"");
  svg += grid(x, y);
  svg += text_at((x.from + x.to) / 2, kHeight - 14,
                 "arithmetic intensity, FLOP per byte (operands read once, results written once)",
                 "text-anchor=\"middle\" class=\"key\"");
  svg += fmt::format(
      "<text transform=\"translate(20 {:.0f}) rotate(-90)\" text-anchor=\"middle\" "
      "class=\"key\">GFLOP/s</text>\n",
      (y.from + y.to) / 2);
  bool slope = run.roofs.copy > 0;
  if (slope) {
    double highest = 0;
    for (const auto& [precision, peak] : run.roofs.products) highest = std::max(highest, peak);
    for (const auto& [precision, peak] : run.roofs.products)
      svg += roof_line(x, y, run.roofs.copy, peak, fmt::format("{} {}", name_of(precision), rate_text(peak)),
                       peak == highest);
    const double middle = std::pow(10, x.low + 0.12 * (x.high - x.low));
    const double angle = std::atan2(-(y.to - y.from) / (y.high - y.low), (x.to - x.from) / (x.high - x.low)) *
                         -180 / std::acos(-1.0);
    if (const double at = y(run.roofs.copy * middle); at < y.from && at > y.to)
      svg += fmt::format(
          "<text transform=\"translate({:.1f} {:.1f}) rotate({:.1f})\" class=\"roof\">copy {:.3g} "
          "GB/s</text>\n",
          x(middle) - 4, at - 8, -std::fabs(angle), run.roofs.copy * 1e-9);
  }
  // The dots of one case stand above each other: a thin line joins them.
  std::map<std::pair<std::string, size_t>, std::pair<double, double>> spans;
  for (const TimedRow* row : drawn) {
    const double rate = row->flop / row->timing.seconds;
    auto [at, fresh] = spans.try_emplace({row->op, row->case_index}, rate, rate);
    at->second = {std::min(at->second.first, rate), std::max(at->second.second, rate)};
    (void)fresh;
  }
  std::string dots;
  for (const TimedRow* row : drawn) {
    const double at_x = x(row->flop / row->bytes), rate = row->flop / row->timing.seconds;
    const auto& span = spans.at({row->op, row->case_index});
    if (rate == span.second)
      svg += fmt::format(
          "<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\" stroke=\"#c3c8d0\" "
          "stroke-width=\"1.5\"/>\n",
          at_x, y(span.first), y(span.second));
    dots += fmt::format(
        "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" {}><title>{}</title></circle>\n", at_x, y(rate),
        look_of(row->variant),
        escaped(fmt::format("{} case {}, {}: {}, {:.4g} ms{}", row->op, row->case_index, row->variant,
                            rate_text(rate), row->timing.seconds * 1e3,
                            row->share > 0 ? fmt::format(", {:.0f} % of the roof", row->share * 100) : "")));
  }
  svg += dots;
  for (size_t i = 0; i < variants.size(); ++i) {
    const double at = kTop + 14 + 22 * static_cast<double>(i);
    svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" {}/>\n", kWidth - kLegend + 8, at,
                       look_of(variants[i]));
    svg += text_at(kWidth - kLegend + 20, at + 4, variants[i], "class=\"key\"");
  }
  return svg + "</svg>\n";
}

}  // namespace rcnn
