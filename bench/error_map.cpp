#include "bench/error_map.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/verify.h"

namespace rcnn {
namespace {

using Colour = std::array<uint8_t, 3>;
constexpr Colour kGap{250, 250, 250}, kEqual{96, 100, 106}, kNan{225, 0, 225};
constexpr double kNanShare = -1;  // of a cell: worse than any number

Colour mix(const Colour& a, const Colour& b, double t) {
  Colour mixed{};
  for (size_t i = 0; i < 3; ++i) mixed[i] = static_cast<uint8_t>(std::lround(a[i] + t * (b[i] - a[i])));
  return mixed;
}

Colour colour_of(double share) {
  if (share == kNanShare) return kNan;
  if (share == 0) return kEqual;
  if (share <= 1) return mix({70, 130, 90}, {150, 200, 110}, share);
  return mix({250, 205, 60}, {190, 10, 10}, std::min(1.0, std::log10(share) / 4));
}

double worse(double a, double b) { return a == kNanShare || b == kNanShare ? kNanShare : std::max(a, b); }

/// A result as `maps` of rows x columns cells of `channels` elements each.
struct MapLayout {
  int64_t maps = 1, rows = 1, columns = 1, channels = 1;
};

MapLayout layout_of(const Shape& shape) {
  const int rank = shape.rank();
  if (rank == 0) return {};
  if (rank == 1) return {1, 1, shape[0], 1};
  if (rank == 4 && shape[1] * shape[2] > 1) return {shape[0], shape[1], shape[2], shape[3]};
  if (rank == 3) return {shape[0], shape[1], shape[2], 1};
  int64_t rows = 1;
  for (int d = 0; d + 1 < rank; ++d) rows *= shape[d];
  return {1, rows, shape[rank - 1], 1};
}

}  // namespace

Image error_map(const Tensor& found, const Tensor& expected, const std::vector<double>& bound) {
  constexpr int64_t kSide = 1000;   // pixels that the picture should about have
  constexpr int64_t kMaxCell = 24;  // pixels
  const Tensor f = found.cast(DType::f64), e = expected.cast(DType::f64);
  const auto values = f.values<double>(), wanted = e.values<double>();
  const MapLayout m = layout_of(expected.shape());
  const auto across = std::max<int64_t>(
      1, std::llround(std::ceil(std::sqrt(static_cast<double>(m.maps * m.rows) /
                                          static_cast<double>(std::max<int64_t>(m.columns, 1))))));
  const int64_t maps_across = std::clamp<int64_t>(across, 1, std::max<int64_t>(m.maps, 1));
  const int64_t maps_down = (m.maps + maps_across - 1) / maps_across;
  const int64_t width = std::max<int64_t>(1, maps_across * (m.columns + 1) - 1),
                height = std::max<int64_t>(1, maps_down * (m.rows + 1) - 1), side = std::max(width, height);
  const int64_t cell = std::clamp<int64_t>(kSide / side, 1, kMaxCell),
                merged = (side + 2 * kSide - 1) / (2 * kSide);
  const int64_t cells_across = (width + merged - 1) / merged, cells_down = (height + merged - 1) / merged;
  constexpr double kNothing = -2;
  std::vector<double> cells(static_cast<size_t>(cells_across * cells_down), kNothing);
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double allowed = bound.empty() ? 0 : bound[i];
    const double share = std::isnan(values[i]) != std::isnan(wanted[i])
                             ? kNanShare
                             : std::min(kernels::share_of_allowed(values[i], wanted[i], allowed), 1e300);
    const int64_t place = static_cast<int64_t>(i) / m.channels, map = place / (m.rows * m.columns),
                  row = place / m.columns % m.rows, column = place % m.columns;
    const int64_t x = (map % maps_across * (m.columns + 1) + column) / merged,
                  y = (map / maps_across * (m.rows + 1) + row) / merged;
    double& at = cells[static_cast<size_t>(y * cells_across + x)];
    at = at == kNothing ? share : worse(at, share);
  }
  Image image(static_cast<int>(cells_across * cell), static_cast<int>(cells_down * cell));
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) {
      const double share = cells[static_cast<size_t>(y / cell * cells_across + x / cell)];
      Colour colour = share == kNothing ? kGap : colour_of(share);
      if (cell >= 6 && share != kNothing && (x % cell == 0 || y % cell == 0))
        colour = mix(colour, kGap, 0.25);
      std::copy(colour.begin(), colour.end(), image.pixel(x, y));
    }
  return image;
}

}  // namespace rcnn
