// Exact one-dimensional k-means: the centres with the minimum squared error, by dynamic programming.
#pragma once

#include <span>
#include <vector>

namespace rcnn {

/// The interval in which a centre may lie.
struct Bounds {
  double min, max;
};

/// One centre for each of `bounds`, in the same order. Each value is assigned to one of the centres, and the
/// sum of weight x (value - centre)^2 over all values is minimal. `values` must be ascending, as must both
/// ends of the bounds, and all `weights` must be positive. A centre with no value assigned to it, because
/// there are fewer values than centres, is NaN.
///
/// Takes O(k n^2) time for k centres and n values (Wang and Song, "Ckmeans.1d.dp", The R Journal 3/2, 2011).
std::vector<double> cluster(std::span<const double> values, std::span<const double> weights,
                            std::span<const Bounds> bounds);

/// The quantile `share`, from 0 to 1, of ascending values, interpolated linearly between neighbours; 0 if
/// there are no values.
double quantile(std::span<const float> ascending, double share);

}  // namespace rcnn
