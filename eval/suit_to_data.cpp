// Chooses the short side and the anchor sizes from the boxes of the training images.
#include <algorithm>
#include <cmath>
#include <map>

#include "eval/anchor_cover.h"
#include "eval/clusters.h"
#include "eval/data_summary.h"

namespace rcnn {
namespace {

constexpr size_t kFewBoxes = 20;  // fewer boxes say little about objects in other images

/// The short side at which all but the smallest tenth of the boxes have a side of 4 cells of the finest
/// level, or of 32 pixels if its cells are large. It is the model's own short side unless boxes are smaller
/// than that, and is limited to
///  - 2.5 times the model's own, because the time of a step grows with its square;
///  - twice the short side of the images, because beyond that boxes gain cells but no detail.
int64_t suited_short_side(const ModelConfig& config, const Dataset& train, int64_t finest_stride) {
  const std::vector<float> sizes = box_sizes(train, config);
  if (sizes.size() < kFewBoxes) return config.short_side;
  std::vector<int> sides;
  for (const Sample& sample : train.samples) sides.push_back(std::min(sample.width, sample.height));
  const auto median = sides.begin() + static_cast<ptrdiff_t>(sides.size() / 2);
  std::nth_element(sides.begin(), median, sides.end());

  const auto own = static_cast<double>(config.short_side), step = static_cast<double>(config.size_divisible);
  const auto wanted_size = static_cast<double>(std::min<int64_t>(4 * finest_stride, 32));
  const double small = quantile(sizes, 0.1);
  if (!(small > 0) || small >= wanted_size) return config.short_side;
  const double wanted = std::ceil(own * wanted_size / small / step) * step;
  const double max_side = std::floor(std::min(2.5 * own, 2.0 * *median) / step) * step;
  return static_cast<int64_t>(std::max(own, std::min(wanted, max_side)));
}

/// The range of anchor sizes for a level. A box smaller than two strides may lie too far from the nearest
/// anchor to overlap it by half, so boxes of such a size are left to the finest level. An anchor of more than
/// 12 strides belongs to a coarser level, if there is one. The models' own sizes are 4 to 8 strides.
Bounds level_bounds(const std::vector<int64_t>& strides, size_t level) {
  const auto stride = static_cast<double>(strides[level]);
  const bool finest = level == 0, coarsest = level + 1 == strides.size();
  return {std::max(4.0, finest ? stride : 2 * stride), coarsest ? 1e6 : 12 * stride};
}

struct WeightedSize {
  double log, weight;
  bool operator<(const WeightedSize& other) const { return log < other.log; }
};

/// The logarithms of the box sizes, ascending. Logarithms, because an overlap depends on the ratio of two
/// sizes: with plain sizes the large boxes, which differ by more pixels, would take most of the centres. A
/// class of n boxes has the weight sqrt(n), so that a class with many boxes does not take all centres either.
/// The average weight of a box is 1.
std::vector<WeightedSize> weighted_sizes(const ModelConfig& config, const Dataset& train) {
  std::map<int, double> counts;
  for (const Sample& sample : train.samples)
    for (const Object& object : sample.objects)
      if (!is_ignored(object)) ++counts[object.label];
  double boxes = 0, roots = 0;
  for (const auto& [label, count] : counts) {
    boxes += count;
    roots += std::sqrt(count);
  }
  std::vector<WeightedSize> sizes;
  for (const Sample& sample : train.samples)
    for (const auto& [box, label] : input_boxes(sample, config)) {
      const auto area = static_cast<double>(std::max(1.0f, kernels::box_area(box)));
      sizes.push_back({std::log(area) / 2, boxes / roots / std::sqrt(counts[label])});
    }
  std::sort(sizes.begin(), sizes.end());
  return sizes;
}

/// About `max_count` sizes that represent all sizes; each is the weighted mean of a group of neighbours.
std::vector<WeightedSize> thinned(const std::vector<WeightedSize>& sizes, size_t max_count) {
  if (sizes.size() <= max_count) return sizes;
  std::vector<WeightedSize> groups;
  const double whole = static_cast<double>(sizes.size()) / static_cast<double>(max_count);
  double log = 0, weight = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    log += sizes[i].weight * sizes[i].log;
    weight += sizes[i].weight;
    if (weight < whole && i + 1 < sizes.size()) continue;
    groups.push_back({log / weight, weight});
    log = weight = 0;
  }
  return groups;
}

/// k-means of the box sizes, where k is the number of anchor sizes of all levels together. The centres are
/// assigned to the levels in ascending order. Each of the model's own sizes counts as one box, so that a few
/// boxes, or many boxes of one size, change only some of the anchor sizes.
Levels suited_anchor_sizes(const ModelConfig& config, const Dataset& train,
                           const std::vector<int64_t>& strides) {
  std::vector<WeightedSize> sizes = thinned(weighted_sizes(config, train), 1000);
  if (sizes.empty()) return config.anchor_sizes;
  std::vector<Bounds> bounds;
  for (size_t l = 0; l < config.anchor_sizes.size(); ++l)
    for (const float own : config.anchor_sizes[l]) {
      sizes.push_back({std::log(static_cast<double>(own)), 1});
      const Bounds pixels = level_bounds(strides, l);
      bounds.push_back({std::log(pixels.min), std::log(pixels.max)});
    }
  std::sort(sizes.begin(), sizes.end());
  std::vector<double> logs, weights;
  for (const WeightedSize& size : sizes) {
    logs.push_back(size.log);
    weights.push_back(size.weight);
  }
  const std::vector<double> centres = cluster(logs, weights, bounds);

  // The sizes are even numbers, because anchors extend a whole number of pixels from their centre (see
  // kernels/boxes/anchors.h), and differ by a factor of at least 1.2, because anchors that are closer cover
  // the same boxes: two boxes whose sizes have the ratio 1 : 1.2 overlap by .69.
  Levels fitted = config.anchor_sizes;
  double last = 0;
  size_t i = 0;
  for (std::vector<float>& level : fitted)
    for (float& size : level) {
      const double centre = std::exp(std::isnan(centres[i]) ? bounds[i].min : centres[i]);
      // Subtracting a little makes the rounding of odd numbers independent of the last bit of exp and log.
      last = std::max(2 * std::round(centre / 2 - 1e-6), 2 * std::ceil(1.2 * last / 2));
      size = static_cast<float>(last);
      ++i;
    }
  return fitted;
}

}  // namespace

void suit_to_data(ModelConfig& config, const Dataset& train, const std::vector<int64_t>& strides,
                  SuitedInput wanted) {
  check_input(config.anchor_sizes.size() == strides.size(),
              "anchor-sizes: expected sizes for {} levels, found {}", strides.size(),
              config.anchor_sizes.size());
  if (wanted.short_side) {
    const int64_t side = suited_short_side(config, train, strides.front());
    config.long_side =
        static_cast<int64_t>(std::llround(static_cast<double>(config.long_side) * static_cast<double>(side) /
                                          static_cast<double>(config.short_side)));
    config.short_side = side;
  }
  if (wanted.anchor_sizes) config.anchor_sizes = suited_anchor_sizes(config, train, strides);
}

}  // namespace rcnn
