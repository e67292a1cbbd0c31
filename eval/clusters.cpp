#include "eval/clusters.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace rcnn {
namespace {

/// Sums over the first i values. The cost of any run of consecutive values follows from them in O(1).
struct Sums {
  std::vector<double> weight{0}, value{0}, square{0};

  Sums(std::span<const double> values, std::span<const double> weights) {
    for (size_t i = 0; i < values.size(); ++i) {
      weight.push_back(weight[i] + weights[i]);
      value.push_back(value[i] + weights[i] * values[i]);
      square.push_back(square[i] + weights[i] * values[i] * values[i]);
    }
  }
  /// The best centre of values begin .. end - 1: their mean, clamped to the bounds.
  double centre(size_t begin, size_t end, const Bounds& bounds) const {
    if (begin == end) return std::numeric_limits<double>::quiet_NaN();
    const double mean = (value[end] - value[begin]) / (weight[end] - weight[begin]);
    return std::clamp(mean, bounds.min, bounds.max);
  }
  double cost(size_t begin, size_t end, const Bounds& bounds) const {
    if (begin == end) return 0;
    const double c = centre(begin, end, bounds);
    return square[end] - square[begin] - 2 * c * (value[end] - value[begin]) +
           c * c * (weight[end] - weight[begin]);
  }
};

}  // namespace

std::vector<double> cluster(std::span<const double> values, std::span<const double> weights,
                            std::span<const Bounds> bounds) {
  const size_t n = values.size(), k = bounds.size();
  const Sums sums(values, weights);
  // min_cost[end] is the minimum cost of the first `end` values with the centres so far, and begins[j][end]
  // is where the run of centre j begins in that case. Since the bounds ascend, each centre takes one run of
  // consecutive values.
  std::vector<double> min_cost(n + 1, std::numeric_limits<double>::infinity());
  min_cost[0] = 0;
  std::vector<std::vector<size_t>> begins(k, std::vector<size_t>(n + 1));
  for (size_t j = 0; j < k; ++j) {
    std::vector<double> next(n + 1, std::numeric_limits<double>::infinity());
    for (size_t end = 0; end <= n; ++end)
      for (size_t begin = 0; begin <= end; ++begin) {
        const double cost = min_cost[begin] + sums.cost(begin, end, bounds[j]);
        if (!(cost < next[end])) continue;
        next[end] = cost;
        begins[j][end] = begin;
      }
    min_cost = std::move(next);
  }
  std::vector<double> centres(k);
  for (size_t j = k, end = n; j-- > 0; end = begins[j][end])
    centres[j] = sums.centre(begins[j][end], end, bounds[j]);
  return centres;
}

double quantile(std::span<const float> ascending, double share) {
  if (ascending.empty()) return 0;
  const double at = share * static_cast<double>(ascending.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, ascending.size() - 1);
  const auto a = static_cast<double>(ascending[low]), b = static_cast<double>(ascending[high]);
  return a + (at - static_cast<double>(low)) * (b - a);
}

}  // namespace rcnn
