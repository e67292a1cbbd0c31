#include "train/average_precision.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace rcnn {
namespace {

/// What happens to one detection.
enum class Outcome { right, wrong, ignored };

/// A class's objects in one image.
struct Truth {
  Box box;
  bool difficult = false;
  bool taken = false;
};

double area(const Box& box) { return (double{box.x2} - double{box.x1}) * (double{box.y2} - double{box.y1}); }

double intersection_over_union(const Box& a, const Box& b) {
  const double width = double{std::min(a.x2, b.x2)} - double{std::max(a.x1, b.x1)};
  const double height = double{std::min(a.y2, b.y2)} - double{std::max(a.y1, b.y1)};
  if (!(width > 0 && height > 0)) return 0;
  const double overlap = width * height;
  return overlap / (area(a) + area(b) - overlap);
}

/// Judges a detection by the truth that it overlaps most (the first of equals), which it then takes. That
/// truth may be taken already although another, free one overlaps enough: such a detection is wrong.
Outcome judge(const Box& box, std::vector<Truth>& truths, double iou_threshold) {
  Truth* best = nullptr;
  double best_overlap = 0;
  for (Truth& truth : truths) {
    const double overlap = intersection_over_union(box, truth.box);
    if (overlap > best_overlap) {
      best = &truth;
      best_overlap = overlap;
    }
  }
  if (best == nullptr || best_overlap < iou_threshold) return Outcome::wrong;
  if (best->difficult) return Outcome::ignored;
  const bool first = !best->taken;
  best->taken = true;
  return first ? Outcome::right : Outcome::wrong;
}

/// Precision and recall after each detection that counts, in double for the sums below.
struct Curve {
  std::vector<double> precision, recall;
};

/// precision[i] becomes the best precision at recall[i] or more.
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

/// The recalls asked for are k * 0.1 in double, as in the published evaluators. Of them 3 * 0.1, 6 * 0.1 and
/// 7 * 0.1 lie a bit above 3/10, 6/10 and 7/10, so that a recall of exactly 3 in 5 does not reach the sixth.
/// Whole numbers would compare better, and give figures that no other evaluator gives.
double mean_at_eleven_points(const Curve& monotone) {
  double sum = 0;
  for (int k = 0; k <= 10; ++k) {
    const auto reached = std::lower_bound(monotone.recall.begin(), monotone.recall.end(), k * 0.1);
    if (reached != monotone.recall.end())
      sum += monotone.precision[static_cast<size_t>(reached - monotone.recall.begin())];
  }
  return sum / 11;
}

/// The objects of one class, by image.
std::vector<std::vector<Truth>> truths_of(int label, const Dataset& dataset) {
  std::vector<std::vector<Truth>> truths(dataset.samples.size());
  for (size_t image = 0; image < truths.size(); ++image)
    for (const Object& object : dataset.samples[image].objects)
      if (object.label == label) truths[image].push_back({object.box, object.difficult});
  return truths;
}

/// `detections` are those of this label, in the order in which they are judged.
ClassResult evaluate_class(int label, const std::vector<const Detection*>& detections, const Dataset& dataset,
                           double iou_threshold) {
  std::vector<std::vector<Truth>> truths = truths_of(label, dataset);
  ClassResult result;
  result.name = dataset.classes[static_cast<size_t>(label - 1)];
  result.detections = static_cast<int64_t>(detections.size());
  for (const std::vector<Truth>& image : truths)
    result.truths += std::count_if(image.begin(), image.end(), [](const Truth& t) { return !t.difficult; });

  Curve curve;
  int64_t right = 0, counted = 0;
  for (const Detection* detection : detections) {
    const Outcome outcome =
        judge(detection->box, truths[static_cast<size_t>(detection->image)], iou_threshold);
    if (outcome == Outcome::ignored) continue;
    right += outcome == Outcome::right;
    ++counted;
    curve.precision.push_back(static_cast<double>(right) / static_cast<double>(counted));
    curve.recall.push_back(
        result.truths == 0 ? 0.0 : static_cast<double>(right) / static_cast<double>(result.truths));
    result.score.push_back(detection->score);
  }
  result.precision.assign(curve.precision.begin(), curve.precision.end());
  result.recall.assign(curve.recall.begin(), curve.recall.end());
  if (result.truths == 0) return result;
  make_monotone(curve.precision);
  result.ap_area = area_below(curve);
  result.ap_11point = mean_at_eleven_points(curve);
  return result;
}

void check_detection(const Detection& detection, const Dataset& dataset) {
  check(detection.image >= 0 && static_cast<size_t>(detection.image) < dataset.samples.size(),
        "a detection in image {} of {} cannot be evaluated", detection.image, dataset.samples.size());
  check(detection.label >= 1 && static_cast<size_t>(detection.label) <= dataset.classes.size(),
        "a detection of label {} cannot be evaluated: the labels are 1 to {}", detection.label,
        dataset.classes.size());
  check(!std::isnan(detection.score), "a detection with the score NaN cannot be evaluated");
}

}  // namespace

VocResult evaluate_voc(const std::vector<Detection>& detections, const Dataset& dataset,
                       double iou_threshold) {
  std::vector<std::vector<const Detection*>> by_label(dataset.classes.size() + 1);
  for (const Detection& detection : detections) {
    check_detection(detection, dataset);
    by_label[static_cast<size_t>(detection.label)].push_back(&detection);
  }

  VocResult result;
  int64_t with_truths = 0;
  for (size_t label = 1; label < by_label.size(); ++label) {
    std::stable_sort(by_label[label].begin(), by_label[label].end(),
                     [](const Detection* a, const Detection* b) {
                       return a->score != b->score ? a->score > b->score : a->image < b->image;
                     });
    result.classes.push_back(
        evaluate_class(static_cast<int>(label), by_label[label], dataset, iou_threshold));
    const ClassResult& of_class = result.classes.back();
    with_truths += of_class.truths > 0;
    result.map_area += of_class.ap_area;  // 0 for a class without truths
    result.map_11point += of_class.ap_11point;
  }
  if (with_truths > 0) {
    result.map_area /= static_cast<double>(with_truths);
    result.map_11point /= static_cast<double>(with_truths);
  }
  return result;
}

}  // namespace rcnn
