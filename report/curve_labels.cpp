#include "report/curve_labels.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace rcnn {
namespace {

constexpr double kHeight = 15, kCharacter = 7.2;  // of a label, in units of the SVG
constexpr double kStep = 4;                       // between the points at which curves are looked at

/// Points of the curve at distances of about kStep, however many points it has.
std::vector<ChartPoint> sample(const std::vector<ChartPoint>& points) {
  std::vector<ChartPoint> samples;
  for (const ChartPoint& next : points) {
    if (samples.empty()) samples.push_back(next);
    const ChartPoint last = samples.back();
    const double dx = next.x - last.x, dy = next.y - last.y;
    const double count = std::min(std::floor(std::hypot(dx, dy) / kStep), 1000.0);
    for (double k = 1; k <= count; ++k) samples.push_back({last.x + dx * k / count, last.y + dy * k / count});
  }
  return samples;
}

/// The distance of the point from a rectangle of `width` x kHeight around `centre`; 0 inside.
double distance(const ChartPoint& point, const ChartPoint& centre, double width) {
  const double dx = std::max(0.0, std::abs(point.x - centre.x) - width / 2);
  const double dy = std::max(0.0, std::abs(point.y - centre.y) - kHeight / 2);
  return std::hypot(dx, dy);
}

struct Placed {
  ChartPoint centre;
  double width;
};

class Placement {
 public:
  Placement(const std::vector<DrawnCurve>& curves, const LabelArea& area) : area_(area) {
    for (const DrawnCurve& curve : curves) samples_.push_back(sample(curve.points));
  }

  std::optional<ChartPoint> place(size_t curve, size_t characters) {
    const double width = kCharacter * static_cast<double>(characters);
    std::optional<ChartPoint> best;
    double best_cost = std::numeric_limits<double>::infinity();
    const std::vector<ChartPoint>& own = samples_[curve];
    const size_t stride = std::max<size_t>(1, own.size() / 40);
    const auto within = [](double value, double low, double high) {
      return std::clamp(value, low, std::max(low, high));
    };
    for (size_t i = 0; i < own.size(); i += stride)
      for (const double shift : {0.0, -width / 2 - 4, width / 2 + 4})
        for (const double gap : {0, -11, 11, -18, 18, -26, 26}) {  // a steep curve needs more distance
          const ChartPoint centre{
              within(own[i].x + shift, area_.left + width / 2, area_.right - width / 2),
              within(own[i].y + gap, area_.top + kHeight / 2, area_.bottom - kHeight / 2)};
          const double cost = cost_of(curve, centre, width);
          if (!(cost < best_cost)) continue;
          best_cost = cost;
          best = centre;
        }
    if (best) placed_.push_back({*best, width});
    return best;
  }

 private:
  /// Points of curves below the label, other labels, and other curves that are as near as its own.
  double cost_of(size_t curve, const ChartPoint& centre, double width) const {
    double cost = 0, nearest_own = std::numeric_limits<double>::infinity(), nearest_other = nearest_own;
    for (size_t c = 0; c < samples_.size(); ++c)
      for (const ChartPoint& point : samples_[c]) {
        const double away = distance(point, centre, width);
        if (away == 0) cost += c == curve ? 3 : 4;
        double& nearest = c == curve ? nearest_own : nearest_other;
        nearest = std::min(nearest, away);
      }
    for (const Placed& other : placed_)
      if (std::abs(other.centre.x - centre.x) < (other.width + width) / 2 &&
          std::abs(other.centre.y - centre.y) < kHeight)
        cost += 1000;
    cost += std::max(0.0, nearest_own - 6);  // far from its curve
    if (nearest_other < 40) cost += 10 * std::max(0.0, nearest_own + 12 - nearest_other);  // ambiguous
    return cost + 0.002 * (area_.right - centre.x);  // of equal places, the one on the right
  }

  const LabelArea area_;
  std::vector<std::vector<ChartPoint>> samples_;
  std::vector<Placed> placed_;
};

}  // namespace

size_t utf8_count(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::vector<std::optional<ChartPoint>> place_labels(const std::vector<DrawnCurve>& curves,
                                                    const LabelArea& area) {
  Placement placement(curves, area);
  std::vector<std::optional<ChartPoint>> places;
  for (size_t i = 0; i < curves.size(); ++i) {
    places.emplace_back();
    if (curves[i].characters > 0) places.back() = placement.place(i, curves[i].characters);
  }
  return places;
}

}  // namespace rcnn
