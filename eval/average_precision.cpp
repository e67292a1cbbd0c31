#include "eval/average_precision.h"

#include <algorithm>

namespace rcnn {
namespace {

/// Precision and recall after each detection that is not ignored. The sums below need double.
struct Curve {
  std::vector<double> precision, recall;
};

/// precision[i] becomes the best precision at a recall of at least recall[i].
void make_monotone(std::vector<double>& precision) {
  for (size_t i = precision.size(); i-- > 1;) precision[i - 1] = std::max(precision[i - 1], precision[i]);
}

double area_below(const Curve& monotone) {
  double sum = 0, last_recall = 0;
  for (size_t i = 0; i < monotone.recall.size(); ++i) {
    sum += (monotone.recall[i] - last_recall) * monotone.precision[i];
    last_recall = monotone.recall[i];
  }
  return sum;
}

/// The eleven recall points are k * 0.1 in double, as in the published evaluators. In double, 3 * 0.1, 6 *
/// 0.1 and 7 * 0.1 lie slightly above 3/10, 6/10 and 7/10, so a recall of exactly 3/5 does not reach the
/// point k = 6. Comparing integers would be exact, but would give figures that no other evaluator gives.
double mean_at_eleven_points(const Curve& monotone) {
  double sum = 0;
  for (int k = 0; k <= 10; ++k) {
    const auto reached = std::lower_bound(monotone.recall.begin(), monotone.recall.end(), k * 0.1);
    if (reached != monotone.recall.end())
      sum += monotone.precision[static_cast<size_t>(reached - monotone.recall.begin())];
  }
  return sum / 11;
}

/// A detection that is not ignored.
struct Counted {
  float score;
  bool right;
};

/// `counted` holds the detections of the class that are not ignored, best first.
void evaluate_class(ClassResult& result, const std::vector<Counted>& counted) {
  Curve curve;
  int64_t right = 0;
  for (const Counted& detection : counted) {
    right += detection.right;
    curve.precision.push_back(static_cast<double>(right) / static_cast<double>(curve.precision.size() + 1));
    curve.recall.push_back(
        result.truths == 0 ? 0.0 : static_cast<double>(right) / static_cast<double>(result.truths));
    result.score.push_back(detection.score);
  }
  result.precision.assign(curve.precision.begin(), curve.precision.end());
  result.recall.assign(curve.recall.begin(), curve.recall.end());
  if (result.truths == 0) return;
  make_monotone(curve.precision);
  result.ap_area = area_below(curve);
  result.ap_11point = mean_at_eleven_points(curve);
}

}  // namespace

VocResult evaluate_voc(const std::vector<Detection>& detections, const Dataset& dataset,
                       double iou_threshold) {
  const std::vector<size_t> ranking = ranked(detections, dataset);
  const std::vector<Judgement> judgements = judge(detections, ranking, dataset, iou_threshold);
  VocResult result;
  result.classes.resize(dataset.classes.size());
  std::vector<std::vector<Counted>> counted(dataset.classes.size());
  for (const size_t i : ranking) {
    const auto c = static_cast<size_t>(detections[i].label - 1);
    ++result.classes[c].detections;
    if (judgements[i].outcome != Outcome::ignored)
      counted[c].push_back({detections[i].score, judgements[i].outcome == Outcome::right});
  }

  int64_t with_truths = 0;
  for (size_t c = 0; c < result.classes.size(); ++c) {
    ClassResult& of_class = result.classes[c];
    of_class.name = dataset.classes[c];
    of_class.truths = count_truths(static_cast<int>(c) + 1, dataset);
    evaluate_class(of_class, counted[c]);
    with_truths += of_class.truths > 0;
    result.map_area += of_class.ap_area;  // this is 0 for a class without truths
    result.map_11point += of_class.ap_11point;
  }
  if (with_truths > 0) {
    result.map_area /= static_cast<double>(with_truths);
    result.map_11point /= static_cast<double>(with_truths);
  }
  return result;
}

}  // namespace rcnn
