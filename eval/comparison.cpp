#include "eval/comparison.h"

#include <algorithm>
#include <cmath>

#include "core/parallel.h"
#include "core/rng.h"
#include "eval/clusters.h"

namespace rcnn {
namespace {

constexpr int kChunk = 10;  // resamples

/// How often each of `count` images is drawn.
std::vector<uint32_t> draw(size_t count, uint64_t seed, uint32_t resample) {
  std::vector<uint32_t> weights(count);
  RandomSequence random(seed, Purpose::bootstrap, resample);
  for (size_t i = 0; i < count; ++i) ++weights[random.below(static_cast<uint32_t>(count))];
  return weights;
}

/// The differences of each figure over the resamples in which it has objects.
std::vector<std::vector<float>> resample(const WeightedFigures& a, const WeightedFigures& b, size_t images,
                                         uint64_t seed) {
  std::vector<std::vector<double>> of_resample(kResamples);
  parallel_chunks((kResamples + kChunk - 1) / kChunk, [&](int64_t chunk) {
    for (int64_t r = chunk * kChunk; r < std::min<int64_t>(kResamples, (chunk + 1) * kChunk); ++r) {
      const std::vector<uint32_t> weights = draw(images, seed, static_cast<uint32_t>(r));
      std::vector<double>& differences = of_resample[static_cast<size_t>(r)];
      differences = b.at(weights);
      const std::vector<double> minus = a.at(weights);
      for (size_t i = 0; i < minus.size(); ++i) differences[i] -= minus[i];
    }
  });
  std::vector<std::vector<float>> by_figure(of_resample.front().size());
  for (const std::vector<double>& differences : of_resample)
    for (size_t i = 0; i < differences.size(); ++i)
      if (!std::isnan(differences[i])) by_figure[i].push_back(static_cast<float>(differences[i]));
  for (std::vector<float>& values : by_figure) std::sort(values.begin(), values.end());
  return by_figure;
}

std::vector<Difference> differences(const WeightedFigures& a, const WeightedFigures& b, size_t images,
                                    uint64_t seed) {
  const std::vector<uint32_t> once(images, 1);
  const std::vector<double> of_a = a.at(once), of_b = b.at(once);
  const std::vector<size_t> with_objects = a.images_with_objects();
  const std::vector<std::vector<float>> resampled = resample(a, b, images, seed);
  std::vector<Difference> result(of_a.size());
  for (size_t i = 0; i < result.size(); ++i) {
    result[i].a = of_a[i];
    result[i].b = of_b[i];
    if (with_objects[i] < kMinComparedImages) continue;
    result[i].low = quantile(resampled[i], 0.025);
    result[i].high = quantile(resampled[i], 0.975);
  }
  return result;
}

/// What is shown on each image, by image.
std::vector<JudgedImage> by_image(const Findings& found, const Dataset& dataset) {
  std::vector<JudgedImage> images = diagnose(found.detections, {}, dataset, true).worst;
  std::sort(images.begin(), images.end(),
            [](const JudgedImage& x, const JudgedImage& y) { return x.image < y.image; });
  return images;
}

}  // namespace

Comparison compare(const Findings& a, const Findings& b, const Dataset& dataset,
                   const std::vector<CocoAnnotation>& annotations, uint64_t seed) {
  Comparison comparison;
  comparison.images = dataset.samples.size();
  if (comparison.images > 0) {
    const WeightedFigures of_a(a, dataset, annotations), of_b(b, dataset, annotations);
    comparison.figures = differences(of_a, of_b, comparison.images, seed);
    const auto end = comparison.figures.begin() + static_cast<ptrdiff_t>(kComparedFigures.size());
    comparison.classes.assign(end, comparison.figures.end());
    comparison.figures.erase(end, comparison.figures.end());
  }
  comparison.figures.resize(kComparedFigures.size());
  comparison.classes.resize(dataset.classes.size());

  comparison.a = by_image(a, dataset);
  comparison.b = by_image(b, dataset);
  const auto fewer_in_b = [&](int image) {
    const auto i = static_cast<size_t>(image);
    return static_cast<int64_t>(errors_of(comparison.a[i])) -
           static_cast<int64_t>(errors_of(comparison.b[i]));
  };
  for (int i = 0; i < static_cast<int>(comparison.images); ++i) {
    if (fewer_in_b(i) > 0) comparison.won.push_back(i);
    if (fewer_in_b(i) < 0) comparison.lost.push_back(i);
  }
  std::stable_sort(comparison.won.begin(), comparison.won.end(),
                   [&](int x, int y) { return fewer_in_b(x) > fewer_in_b(y); });
  std::stable_sort(comparison.lost.begin(), comparison.lost.end(),
                   [&](int x, int y) { return fewer_in_b(x) < fewer_in_b(y); });
  return comparison;
}

}  // namespace rcnn
