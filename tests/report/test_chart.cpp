#include "report/chart.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <pugixml.hpp>
#include <sstream>

using namespace rcnn;

namespace {

bool near(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (!(std::abs(a[i] - b[i]) <= 1e-9 * std::abs(b[i]))) return false;
  return true;
}

std::vector<ChartPoint> ramp(int count) {
  std::vector<ChartPoint> points;
  for (int i = 0; i < count; ++i) points.push_back({double(i), double(i)});
  return points;
}

/// The y values of the points of a path "M1 2L3 4...".
std::vector<double> heights(const std::string& path) {
  std::vector<double> result;
  std::istringstream stream(path);
  char letter = 0;
  for (double x = 0, y = 0; stream >> letter >> x >> y;) result.push_back(y);
  return result;
}

struct Rendered {
  explicit Rendered(const Chart& chart) { REQUIRE(document.load_string(render_chart(chart).c_str())); }
  std::vector<std::string> ticks() const {
    std::vector<std::string> texts;
    for (const auto& node : document.select_nodes("//text")) texts.emplace_back(node.node().text().get());
    return texts;
  }
  std::string path(const char* xpath = "//path") const {
    return document.select_node(xpath).node().attribute("d").as_string();
  }
  pugi::xml_document document;
};

}  // namespace

TEST_CASE("chart: ticks are round numbers inside the range, and not too many") {
  CHECK(near(round_ticks(0, 1, 5), {0, 0.2, 0.4, 0.6, 0.8, 1}));
  CHECK(near(round_ticks(0, 2500, 5), {0, 500, 1000, 1500, 2000, 2500}));
  CHECK(near(round_ticks(0, 4.9, 5), {0, 1, 2, 3, 4}));
  CHECK(near(round_ticks(0, 0.0413, 4), {0, 0.02, 0.04}));
  CHECK(near(round_ticks(-3, 3, 4), {-2, 0, 2}));
  CHECK(near(round_ticks(7, 7, 4), {7}));
  for (const double high : {1e-7, 0.037, 1.0, 3.3, 99.0, 12345.0, 1e9}) {
    CAPTURE(high);
    const std::vector<double> ticks = round_ticks(0, high, 4);
    CHECK(ticks.size() >= 2);
    CHECK(ticks.size() <= 5);
    CHECK(ticks.back() <= high * (1 + 1e-9));
  }
}

TEST_CASE("chart: the running mean skips values that are not finite") {
  const std::vector<ChartPoint> mean = smooth({{1, 2}, {2, std::nan("")}, {3, 4}, {4, 9}, {5, 1}}, 3);
  std::vector<double> x, y;
  for (const ChartPoint& point : mean) x.push_back(point.x), y.push_back(point.y);
  CHECK(near(x, {1, 3, 4, 5}));
  CHECK(near(y, {3, 5, 14.0 / 3, 5}));
  CHECK(smooth({}, 5).empty());
  CHECK(smooth(ramp(4), 1)[2].y == 2);
}

TEST_CASE("chart: values are drawn at the positions that the ticks mark") {
  Chart chart;
  chart.width = 256;   // 200 between left and right margin
  chart.height = 136;  // 100 between top and bottom
  chart.x_high = 2000;
  chart.y_high = 0.5;
  chart.lines.push_back({{{0, 0}, {1000, 0.25}, {2000, 0.5}}});
  const Rendered svg(chart);
  CHECK(svg.path() == "M44.0 110.0L144.0 60.0L244.0 10.0");
  CHECK(svg.ticks() == std::vector<std::string>{"0", "0.2", "0.4", "0", "1,000", "2,000"});
}

TEST_CASE("chart: large and small numbers on the axes are written legibly") {
  const auto ticks = [](double high) {
    Chart chart;
    chart.height = 300;
    chart.x_high = 1;
    chart.y_high = high;
    const std::vector<std::string> all = Rendered(chart).ticks();
    return all[1] + " " + all[2];
  };
  CHECK(ticks(5e6) == "1,000,000 2,000,000");
  CHECK(ticks(500) == "100 200");
  CHECK(ticks(0.005) == "0.001 0.002");
  CHECK(ticks(5e8) == "1e+08 2e+08");
  CHECK(ticks(5e-6) == "1e-06 2e-06");
}

TEST_CASE("chart: a long curve is thinned out and keeps its peaks") {
  Chart chart;
  chart.lines.push_back({ramp(100'000)});
  for (ChartPoint& point : chart.lines[0].points) point.y = 1;
  chart.lines[0].points[54'321].y = 1000;
  chart.lines[0].points[77'777].y = -1000;
  const std::vector<double> ys = heights(Rendered(chart).path());
  CHECK(ys.size() <= 602);
  CHECK(ys.size() > 300);
  const auto [top, bottom] = std::minmax_element(ys.begin(), ys.end());
  CHECK(*top < 30);
  CHECK(*bottom > 230);
}

TEST_CASE("chart: dots with tooltips, a tinted area, and a label that is escaped") {
  Chart chart;
  chart.label = "a<b";
  chart.lines.push_back({{{1, 0.5}, {2, 0.75}}, "#123456", 2, 1, true, true});
  const Rendered svg(chart);
  CHECK(std::string(svg.document.child("svg").attribute("aria-label").as_string()) == "a<b");
  CHECK(svg.document.select_nodes("//circle").size() == 2);
  CHECK(std::string(svg.document.select_node("//circle[2]/title").node().text().get()) == "2: 0.75");
  CHECK(svg.document.select_nodes("//path[@fill='#123456']").size() == 1);
  CHECK(svg.document.select_nodes("//path[@stroke='#123456']").size() == 1);
}

TEST_CASE("chart: a chart without points still has a frame") {
  Chart chart;
  chart.lines.push_back({{{std::nan(""), 1}}});
  const Rendered svg(chart);
  CHECK(svg.document.select_nodes("//path").empty());
  CHECK(svg.ticks().size() >= 4);
}

TEST_CASE("chart: a histogram gives the percentage of values in each bin") {
  CHECK(near(histogram({1, 2, 2.5F, 3, 9, -4, std::nanf("")}, {1, 2, 3, 4}),
             {100.0 / 3, 100.0 / 3, 100.0 / 3}));
  CHECK(near(histogram({2}, {1, 2, 3}), {0, 100}));  // an edge belongs to the bin that it begins
  CHECK(near(histogram({std::numeric_limits<float>::infinity()}, {1, 2, 3}), {0, 100}));
  CHECK(near(histogram({}, {1, 2, 3}), {0, 0}));
  CHECK(near(histogram({7}, {1, 2}), {100}));
  CHECK(histogram({7}, {1}).empty());
}

TEST_CASE("chart: columns stand on the axis, and marks run through the whole chart") {
  Chart chart;
  chart.width = 256;   // 200 between left and right margin
  chart.height = 136;  // 100 between top and bottom
  chart.x_high = 10;
  chart.y_high = 50;
  chart.bars = {{0, 5, 25, "#123456"}, {5, 10, 0}, {5, std::nan(""), 3}};
  chart.marks = {{7.5, "three<quarters"}, {std::nan(""), "nowhere"}};
  const Rendered svg(chart);
  REQUIRE(svg.document.select_nodes("//rect").size() == 1);
  const pugi::xml_node bar = svg.document.select_node("//rect").node();
  CHECK(bar.attribute("x").as_double() == doctest::Approx(44.5));
  CHECK(bar.attribute("width").as_double() == doctest::Approx(99));
  CHECK(bar.attribute("y").as_double() == doctest::Approx(60));
  CHECK(bar.attribute("height").as_double() == doctest::Approx(50));
  CHECK(std::string(bar.child("title").text().get()) == "0 to 5: 25");
  REQUIRE(svg.document.select_nodes("//line[@stroke-dasharray]").size() == 1);
  const pugi::xml_node mark = svg.document.select_node("//line[@stroke-dasharray]").node();
  CHECK(mark.attribute("x1").as_double() == doctest::Approx(194));
  CHECK(std::string(mark.child("title").text().get()) == "three<quarters");
}

TEST_CASE("chart: columns determine the range if none is given") {
  Chart chart;
  chart.bars = {{2, 4, 10}};
  const std::vector<std::string> ticks = Rendered(chart).ticks();
  CHECK(ticks.front() == "0");
  CHECK(std::find(ticks.begin(), ticks.end(), "10") != ticks.end());
  CHECK(ticks.back() == "4.0");
}

TEST_CASE("chart: a logarithmic axis has ticks at 1, 2 and 5, or at powers of 10 only") {
  Chart chart;
  chart.width = 256;
  chart.height = 136;
  chart.x_logarithmic = true;
  chart.x_low = 1;
  chart.x_high = 100;
  chart.y_high = 1;
  chart.lines.push_back({{{1, 0}, {10, 0}, {100, 1}, {0, 1}}});
  const Rendered svg(chart);
  // A value that has no logarithm is drawn at the left edge.
  CHECK(svg.path() == "M44.0 110.0L144.0 110.0L244.0 10.0L44.0 10.0");
  const std::vector<std::string> ticks = svg.ticks();
  CHECK(std::vector<std::string>(ticks.end() - 7, ticks.end()) ==
        std::vector<std::string>{"1", "2", "5", "10", "20", "50", "100"});
  chart.x_high = 1e6;  // there is no room for 2 and 5
  const std::vector<std::string> powers = Rendered(chart).ticks();
  CHECK(std::vector<std::string>(powers.end() - 7, powers.end()) ==
        std::vector<std::string>{"1", "10", "100", "1,000", "10,000", "100,000", "1,000,000"});
}

TEST_CASE("chart: axis titles take room of their own") {
  Chart chart;
  chart.width = 275;   // 200 between the margins
  chart.height = 155;  // 100 between the margins
  chart.x_high = 2;
  chart.y_high = 1;
  chart.x_title = "recall <all>";
  chart.y_title = "precision";
  chart.lines.push_back({{{0, 0}, {1, 0.5}, {2, 1}}});
  const Rendered svg(chart);
  CHECK(svg.path() == "M63.0 110.0L163.0 60.0L263.0 10.0");
  const auto titles = svg.document.select_nodes("//text[@class='axis-title']");
  REQUIRE(titles.size() == 2);
  CHECK(std::string(titles[0].node().text().get()) == "recall <all>");
  CHECK(std::string(titles[1].node().text().get()) == "precision");
}

TEST_CASE("chart: a curve has its name beside it, where no other curve and no other name is") {
  Chart chart;
  chart.x_high = chart.y_high = 1;
  // Two curves that cross, and one close to the second.
  chart.lines.push_back({{{0, 0.1}, {1, 0.9}}});
  chart.lines.push_back({{{0, 0.9}, {0.5, 0.5}, {1, 0.15}}});
  chart.lines.push_back({{{0, 1}, {0.5, 0.6}, {1, 0.1}}});
  chart.lines[0].label = "rising";
  chart.lines[1].label = "falling";
  chart.lines[2].label = "also falling";
  chart.lines[2].dash = "4 2";
  chart.lines.push_back({{{0, 0.5}, {1, 0.5}}});  // without a name
  const Rendered svg(chart);
  CHECK(svg.document.select_nodes("//path[@stroke-dasharray='4 2']").size() == 1);
  const auto names = svg.document.select_nodes("//text[@class='curve']");
  REQUIRE(names.size() == 3);
  const auto left = [](double x) { return 44 + x * (520 - 44 - 12); };
  const auto top = [](double y) { return 270 - 26 - y * (270 - 10 - 26); };
  std::vector<ChartPoint> centres;
  for (size_t i = 0; i < 3; ++i) {
    CAPTURE(i);
    const double x = names[i].node().attribute("x").as_double(),
                 y = names[i].node().attribute("y").as_double();
    const double half = 3.6 * static_cast<double>(chart.lines[i].label.size());
    CHECK(x - half >= 44);
    CHECK(x + half <= 520 - 12);
    // The nearest curve is its own.
    std::vector<double> nearest;
    for (const ChartLine& line : chart.lines) {
      double distance = 1e9;
      for (size_t p = 1; p < line.points.size(); ++p)
        for (double t = 0; t <= 1; t += 0.002) {
          const ChartPoint &a = line.points[p - 1], &b = line.points[p];
          const double dx = std::max(0.0, std::abs(left(a.x + t * (b.x - a.x)) - x) - half);
          const double dy = std::abs(top(a.y + t * (b.y - a.y)) - y);
          distance = std::min(distance, std::hypot(dx, dy));
        }
      nearest.push_back(distance);
    }
    CHECK(std::min_element(nearest.begin(), nearest.end()) - nearest.begin() == static_cast<ptrdiff_t>(i));
    CHECK(nearest[i] > 4);  // beside the curve, not on it
    CHECK(nearest[i] < 25);
    for (const ChartPoint& other : centres) CHECK(std::hypot(other.x - x, other.y - y) > 15);
    centres.push_back({x, y});
  }
}
