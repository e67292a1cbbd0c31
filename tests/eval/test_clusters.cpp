// One-dimensional k-means, compared with all possible assignments of values to centres.
#include "eval/clusters.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/rng.h"

using namespace rcnn;

namespace {

/// The minimum error over all k^n assignments of values to centres, whether or not they are consecutive runs.
double min_error(const std::vector<double>& values, const std::vector<double>& weights,
                 const std::vector<Bounds>& bounds) {
  const size_t k = bounds.size();
  double lowest = std::numeric_limits<double>::infinity();
  size_t ways = 1;
  for (size_t i = 0; i < values.size(); ++i) ways *= k;
  for (size_t way = 0; way < ways; ++way) {
    double error = 0;
    for (size_t j = 0; j < k; ++j) {
      double weight = 0, sum = 0;
      size_t digits = way;
      for (size_t i = 0; i < values.size(); ++i, digits /= k)
        if (digits % k == j) weight += weights[i], sum += weights[i] * values[i];
      const double centre = std::clamp(sum / weight, bounds[j].min, bounds[j].max);
      digits = way;
      for (size_t i = 0; i < values.size(); ++i, digits /= k)
        if (digits % k == j) error += weights[i] * (values[i] - centre) * (values[i] - centre);
    }
    lowest = std::min(lowest, error);
  }
  return lowest;
}

/// The error if each value is assigned to its nearest centre.
double error_of(const std::vector<double>& centres, const std::vector<double>& values,
                const std::vector<double>& weights) {
  double error = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    double nearest = std::numeric_limits<double>::infinity();
    for (const double c : centres)
      if (!std::isnan(c)) nearest = std::min(nearest, (values[i] - c) * (values[i] - c));
    error += weights[i] * nearest;
  }
  return error;
}

}  // namespace

TEST_CASE("clusters: small inputs give the optimum over all assignments") {
  RandomSequence random(1, Purpose::test, 7);
  for (int trial = 0; trial < 60; ++trial) {
    CAPTURE(trial);
    const size_t n = 1 + random.below(7), k = 1 + random.below(3);
    std::vector<double> values, weights;
    std::vector<Bounds> bounds;
    for (size_t i = 0; i < n; ++i) {
      values.push_back(random.below(trial % 2 == 0 ? 100 : 5));  // every other trial has equal values
      weights.push_back(1 + random.below(4));
    }
    std::sort(values.begin(), values.end());
    for (size_t j = 0; j < k; ++j) {
      const double step = trial % 3 == 0 ? 30 : 0,
                   from = step * static_cast<double>(j);  // every third trial has bounds that bind
      bounds.push_back(step > 0 ? Bounds{from, from + step} : Bounds{-1e3, 1e3});
    }
    const std::vector<double> centres = cluster(values, weights, bounds);
    REQUIRE(centres.size() == k);
    double last = -1e9;
    for (size_t j = 0; j < k; ++j) {
      if (std::isnan(centres[j])) continue;
      CHECK(centres[j] >= bounds[j].min);
      CHECK(centres[j] <= bounds[j].max);
      CHECK(centres[j] >= last);
      last = centres[j];
    }
    const double error = error_of(centres, values, weights), lowest = min_error(values, weights, bounds);
    // With bounds, assigning values to the nearest centre may be even better than the chosen runs.
    CHECK(error <= lowest + 1e-9);
    if (trial % 3 != 0) CHECK(std::fabs(error - lowest) <= 1e-9);
  }
}

TEST_CASE("clusters: examples worked out by hand") {
  const std::vector<Bounds> two(2, Bounds{-100, 100});
  const std::vector<double> ones(5, 1.0);
  CHECK(cluster(std::vector<double>{1, 2, 3, 11, 13}, ones, two) == std::vector<double>{2, 12});
  // A centre is the weighted mean.
  CHECK(cluster(std::vector<double>{0, 4}, std::vector<double>{3, 1}, std::vector<Bounds>{{-9, 9}}) ==
        std::vector<double>{1});
  // The second centre may not go below 20, so it gets only 13: the error is 62.75 + 49, and would be 2 + 130
  // if it got 11 as well.
  CHECK(cluster(std::vector<double>{1, 2, 3, 11, 13}, ones, std::vector<Bounds>{{-9, 9}, {20, 30}}) ==
        std::vector<double>{4.25, 20});
  // Without values every centre is NaN.
  for (const double centre : cluster({}, {}, two)) CHECK(std::isnan(centre));
  CHECK(cluster({}, {}, {}).empty());
  // One centre takes all values if they are equal.
  const std::vector<double> equal = cluster(std::vector<double>(5, 7.0), ones, two);
  CHECK(std::count(equal.begin(), equal.end(), 7.0) >= 1);
  CHECK(std::count_if(equal.begin(), equal.end(), [](double c) { return std::isnan(c) || c == 7; }) == 2);
}

TEST_CASE("clusters: quantiles") {
  const std::vector<float> values = {1, 2, 4, 8};
  CHECK(quantile(values, 0) == 1);
  CHECK(quantile(values, 1) == 8);
  CHECK(quantile(values, 0.5) == 3);
  CHECK(quantile(std::vector<float>{5}, 0.3) == 5);
  CHECK(quantile({}, 0.5) == 0);
}
