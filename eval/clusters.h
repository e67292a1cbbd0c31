// k-means on a line, exactly: the centres of least squared error, by dynamic programming.
#pragma once

#include <span>
#include <vector>

namespace rcnn {

/// The part of the line on which a centre may lie.
struct Bounds {
  double least, most;
};

/// One centre for each of `bounds`, in their order, such that the sum of weight x (value - centre)^2 over all
/// values, each taken by one of the centres, is as small as can be. `values` are ascending, as are the
/// bounds' two ends, and `weights` above 0. A centre that takes no value, as there are fewer of them, is NaN.
///
/// O(k n^2) for k centres of n values (Wang and Song, "Ckmeans.1d.dp", The R Journal 3/2, 2011).
std::vector<double> cluster(std::span<const double> values, std::span<const double> weights,
                            std::span<const Bounds> bounds);

/// The value at a share of the way through ascending values, between neighbours by proportion; 0 of none.
double quantile(std::span<const float> ascending, double share);

}  // namespace rcnn
