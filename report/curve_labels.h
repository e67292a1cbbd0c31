// Where in a chart the names of its curves are written.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "report/chart.h"

namespace rcnn {

/// A curve in the units of the SVG, with the number of characters of its label; 0: it has none.
struct DrawnCurve {
  std::vector<ChartPoint> points;
  size_t characters = 0;
};

/// The part of the SVG in which labels may lie.
struct LabelArea {
  double left, top, right, bottom;
};

/// The centre of each curve's label: just above or below its curve, where it covers as little of any curve
/// and of the other labels as possible and no other curve is nearer. Nothing for a curve without a label or
/// without points.
std::vector<std::optional<ChartPoint>> place_labels(const std::vector<DrawnCurve>& curves,
                                                    const LabelArea& area);

/// The number of characters in UTF-8 text.
size_t utf8_count(std::string_view text);

}  // namespace rcnn
