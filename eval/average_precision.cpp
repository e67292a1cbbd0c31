#include "eval/average_precision.h"

#include "eval/precision_recall.h"

namespace rcnn {
namespace {

/// The eleven recall points are k * 0.1 in double, as in the published evaluators. In double, 3 * 0.1, 6 *
/// 0.1 and 7 * 0.1 lie slightly above 3/10, 6/10 and 7/10, so a recall of exactly 3/5 does not reach the
/// point k = 6. Comparing integers would be exact, but would give figures that no other evaluator gives.
double eleventh(int k) { return k * 0.1; }

/// A detection that is not ignored.
struct Counted {
  float score;
  bool right;
};

/// `counted` holds the detections of the class that are not ignored, best first.
void evaluate_class(ClassResult& result, const std::vector<Counted>& counted) {
  PrecisionRecall curve;
  curve.begin(static_cast<double>(result.truths), 0);
  int64_t right = 0;
  for (const Counted& detection : counted) {
    right += detection.right;
    curve.add(1, detection.right);
    result.score.push_back(detection.score);
    result.precision.push_back(
        static_cast<float>(static_cast<double>(right) / static_cast<double>(result.score.size())));
    result.recall.push_back(result.truths == 0 ? 0.0f
                                               : static_cast<float>(static_cast<double>(right) /
                                                                    static_cast<double>(result.truths)));
  }
  if (result.truths == 0) return;
  curve.finish();
  result.ap_area = curve.area();
  result.ap_11point = curve.mean_at(11, eleventh);
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
