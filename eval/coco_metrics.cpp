#include "eval/coco_metrics.h"

#include <fmt/format.h>

#include <limits>

#include "core/parallel.h"
#include "eval/coco_matching.h"
#include "eval/precision_recall.h"

namespace rcnn {
namespace {

constexpr size_t kAt50 = 0, kAt75 = 5;  // the indices of the thresholds .50 and .75

/// The mean precision at the recall points. `list` must be sorted, best score first.
double average_precision(PrecisionRecall& curve, const std::vector<CocoMatch>& list, int64_t asked,
                         size_t threshold) {
  curve.begin(static_cast<double>(asked), std::numeric_limits<double>::epsilon());
  for (const CocoMatch& outcome : list)
    if (outcome.right[threshold] || outcome.wrong[threshold]) curve.add(1, outcome.right[threshold]);
  curve.finish();
  return curve.mean_at(kCocoRecalls, coco_recall_point);
}

/// The recall of the `max_detections` best detections of each image, averaged over the thresholds.
double average_recall(const std::vector<CocoMatch>& list, int64_t asked, size_t max_detections) {
  double sum = 0;
  for (const CocoMatch& outcome : list)
    if (outcome.place < max_detections) sum += static_cast<double>(outcome.right.count());
  return sum / static_cast<double>(asked) / static_cast<double>(kCocoThresholds);
}

/// The metrics of one category for one range of areas.
struct AreaFigures {
  double ap = -1, ap50 = -1, ap75 = -1, ar1 = -1, ar10 = -1, ar100 = -1;
};

AreaFigures evaluate_area(const CocoScenes& scenes, CocoArea area) {
  const CocoMatches matches = match_coco(scenes, area);
  const std::vector<CocoMatch>& list = matches.found;
  const int64_t asked = matches.asked();
  if (asked == 0) return {};
  std::array<double, kCocoThresholds> precisions{};
  PrecisionRecall curve;
  double sum = 0;
  for (size_t t = 0; t < kCocoThresholds; ++t) {
    precisions[t] = average_precision(curve, list, asked, t);
    sum += precisions[t];
  }
  return {sum / static_cast<double>(kCocoThresholds),
          precisions[kAt50],
          precisions[kAt75],
          average_recall(list, asked, 1),
          average_recall(list, asked, 10),
          average_recall(list, asked, kCocoDetections)};
}

CocoFigures evaluate_category(CocoScenes& scenes) {
  prepare(scenes);
  const AreaFigures all = evaluate_area(scenes, CocoArea::all),
                    small = evaluate_area(scenes, CocoArea::small),
                    medium = evaluate_area(scenes, CocoArea::medium),
                    large = evaluate_area(scenes, CocoArea::large);
  return {all.ap,  all.ap50, all.ap75,  small.ap,    medium.ap,    large.ap,
          all.ar1, all.ar10, all.ar100, small.ar100, medium.ar100, large.ar100};
}

}  // namespace

CocoScores evaluate_coco(const std::vector<CocoAnnotation>& annotations,
                         const std::vector<CocoResult>& results) {
  std::map<int64_t, CocoScenes> categories = coco_scenes(annotations, results);
  CocoScores scores;
  std::vector<std::pair<CocoScenes*, CocoFigures*>> work;
  for (auto& [category, scenes] : categories) work.emplace_back(&scenes, &scores.by_category[category]);
  parallel_chunks(static_cast<int64_t>(work.size()), [&](int64_t i) {
    const auto [scenes, figures] = work[static_cast<size_t>(i)];
    *figures = evaluate_category(*scenes);
  });

  for (const CocoFigureName& figure : kCocoFigures) {
    double sum = 0;
    int count = 0;
    for (const auto& [category, figures] : scores.by_category)
      if (figures.*figure.value >= 0) {
        sum += figures.*figure.value;
        ++count;
      }
    if (count > 0) scores.mean.*figure.value = sum / count;
  }
  return scores;
}

std::string coco_table(const CocoFigures& figures) {
  std::string text;
  for (const CocoFigureName& figure : kCocoFigures) {
    const double value = figures.*figure.value;
    text += fmt::format("{:<52}  {:<5}  {:>6}\n", figure.words, figure.key,
                        value < 0 ? std::string("-") : fmt::format("{:.4f}", value));
  }
  return text;
}

}  // namespace rcnn
