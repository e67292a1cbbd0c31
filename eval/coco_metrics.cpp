#include "eval/coco_metrics.h"

#include <algorithm>
#include <bitset>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/parallel.h"

namespace rcnn {
namespace {

constexpr int kThresholds = 10, kRecalls = 101, kMaxDetections = 100;
constexpr int kAt50 = 0, kAt75 = 5;  // the indices of the thresholds .50 and .75

// Both formulas round as numpy.linspace does, so that whether a recall of exactly 7/100 reaches the point .07
// is decided as in pycocotools.

double iou_threshold(int t) { return t == kThresholds - 1 ? 0.95 : t * ((0.95 - 0.5) / 9) + 0.5; }

double recall_point(int r) { return r == kRecalls - 1 ? 1.0 : r * (1.0 / 100); }

/// Areas from `min` to `max` square pixels, both included: an area of exactly 32^2 is both small and medium.
struct AreaRange {
  double min, max;
  bool holds(double area) const { return !(area < min || area > max); }
};

constexpr AreaRange kAll{0, 1e10}, kSmall{0, 32 * 32}, kMedium{32 * 32, 96 * 96}, kLarge{96 * 96, 1e10};

double overlap_of(const CocoResult& found, const CocoAnnotation& truth) {
  const double width = std::min(found.x + found.width, truth.x + truth.width) - std::max(found.x, truth.x);
  if (width <= 0) return 0;
  const double height = std::min(found.y + found.height, truth.y + truth.height) - std::max(found.y, truth.y);
  if (height <= 0) return 0;
  const double common = width * height, of_found = found.width * found.height;
  return common / (truth.crowd ? of_found : of_found + truth.width * truth.height - common);
}

/// The truths and detections of one category in one image.
struct Scene {
  std::vector<const CocoAnnotation*> truths;
  std::vector<const CocoResult*> found;  // best first, at most kMaxDetections
  std::vector<double> overlaps;          // (found, truths)

  void prepare() {
    std::stable_sort(found.begin(), found.end(),
                     [](const CocoResult* a, const CocoResult* b) { return a->score > b->score; });
    if (found.size() > kMaxDetections) found.resize(kMaxDetections);
    overlaps.reserve(found.size() * truths.size());
    for (const CocoResult* f : found)
      for (const CocoAnnotation* t : truths) overlaps.push_back(overlap_of(*f, *t));
  }
  double overlap(size_t f, size_t t) const { return overlaps[f * truths.size() + t]; }
};

using Scenes = std::map<int64_t, Scene>;  // by image number

/// Whether a detection is right or wrong, with one bit per threshold.
struct Judged {
  double score = 0;
  size_t place = 0;  // its rank among the detections of its category and image, from 0
  std::bitset<kThresholds> right, wrong;
};

/// Matches the detections of a scene to its truths, for one range of areas.
class Judge {
 public:
  Judge(const Scene& scene, const AreaRange& range) : scene_(scene), range_(range) {
    for (const CocoAnnotation* t : scene.truths)
      ignored_.push_back(t->crowd || t->ignore || !range.holds(t->area));
  }

  /// The number of truths that are not ignored.
  int64_t asked() const { return std::count(ignored_.begin(), ignored_.end(), false); }

  void append_to(std::vector<Judged>& list) const {
    const size_t first = list.size();
    for (size_t f = 0; f < scene_.found.size(); ++f) list.push_back({scene_.found[f]->score, f, {}, {}});
    for (int t = 0; t < kThresholds; ++t) {
      std::vector<bool> taken(scene_.truths.size());
      for (size_t f = 0; f < scene_.found.size(); ++f) judge(f, t, taken, list[first + f]);
    }
  }

 private:
  static constexpr size_t kNone = std::numeric_limits<size_t>::max();

  void judge(size_t f, int t, std::vector<bool>& taken, Judged& outcome) const {
    const double threshold = std::min(iou_threshold(t), 1 - 1e-10);
    size_t truth = best(f, threshold, taken, false);
    if (truth != kNone) {
      outcome.right.set(static_cast<size_t>(t));
      taken[truth] = true;
      return;
    }
    truth = best(f, threshold, taken, true);
    if (truth != kNone)
      taken[truth] = true;
    else if (range_.holds(scene_.found[f]->width * scene_.found[f]->height))
      outcome.wrong.set(static_cast<size_t>(t));
  }

  /// The truth that the detection overlaps most, the last one in case of a tie. Looks either only at ignored
  /// truths or only at the others.
  size_t best(size_t f, double at_least, const std::vector<bool>& taken, bool among_ignored) const {
    size_t result = kNone;
    for (size_t t = 0; t < taken.size(); ++t) {
      if (ignored_[t] != among_ignored || (taken[t] && !scene_.truths[t]->crowd)) continue;
      if (scene_.overlap(f, t) < at_least) continue;
      at_least = scene_.overlap(f, t);
      result = t;
    }
    return result;
  }

  const Scene& scene_;
  const AreaRange& range_;
  std::vector<bool> ignored_;  // one entry per truth
};

/// The mean precision at the recall points. `list` must be sorted, best score first.
double average_precision(const std::vector<Judged>& list, int64_t asked, size_t threshold) {
  std::vector<double> precision, recall;
  double right = 0, wrong = 0;
  for (const Judged& outcome : list) {
    if (!outcome.right[threshold] && !outcome.wrong[threshold]) continue;
    right += outcome.right[threshold];
    wrong += outcome.wrong[threshold];
    precision.push_back(right / (wrong + right + std::numeric_limits<double>::epsilon()));
    recall.push_back(right / static_cast<double>(asked));
  }
  for (size_t i = precision.size(); i-- > 1;) precision[i - 1] = std::max(precision[i - 1], precision[i]);
  double sum = 0;
  for (int r = 0; r < kRecalls; ++r) {
    const auto reached = std::lower_bound(recall.begin(), recall.end(), recall_point(r));
    if (reached != recall.end()) sum += precision[static_cast<size_t>(reached - recall.begin())];
  }
  return sum / kRecalls;
}

/// The recall of the `max_detections` best detections of each image, averaged over the thresholds.
double average_recall(const std::vector<Judged>& list, int64_t asked, size_t max_detections) {
  double sum = 0;
  for (const Judged& outcome : list)
    if (outcome.place < max_detections) sum += static_cast<double>(outcome.right.count());
  return sum / static_cast<double>(asked) / kThresholds;
}

/// The metrics of one category for one range of areas.
struct AreaFigures {
  double ap = -1, ap50 = -1, ap75 = -1, ar1 = -1, ar10 = -1, ar100 = -1;
};

AreaFigures evaluate_area(const Scenes& scenes, const AreaRange& range) {
  int64_t asked = 0;
  std::vector<Judged> list;
  for (const auto& [image, scene] : scenes) {
    const Judge judge(scene, range);
    asked += judge.asked();
    judge.append_to(list);
  }
  if (asked == 0) return {};
  std::stable_sort(list.begin(), list.end(),
                   [](const Judged& a, const Judged& b) { return a.score > b.score; });
  std::array<double, kThresholds> precisions{};
  double sum = 0;
  for (size_t t = 0; t < kThresholds; ++t) {
    precisions[t] = average_precision(list, asked, t);
    sum += precisions[t];
  }
  return {sum / kThresholds,
          precisions[kAt50],
          precisions[kAt75],
          average_recall(list, asked, 1),
          average_recall(list, asked, 10),
          average_recall(list, asked, kMaxDetections)};
}

CocoFigures evaluate_category(Scenes& scenes) {
  for (auto& [image, scene] : scenes) scene.prepare();
  const AreaFigures all = evaluate_area(scenes, kAll), small = evaluate_area(scenes, kSmall),
                    medium = evaluate_area(scenes, kMedium), large = evaluate_area(scenes, kLarge);
  return {all.ap,  all.ap50, all.ap75,  small.ap,    medium.ap,    large.ap,
          all.ar1, all.ar10, all.ar100, small.ar100, medium.ar100, large.ar100};
}

/// The categories that have annotations, by category number.
std::map<int64_t, Scenes> group(const std::vector<CocoAnnotation>& annotations,
                                const std::vector<CocoResult>& results) {
  std::map<int64_t, Scenes> categories;
  for (const CocoAnnotation& annotation : annotations)
    categories[annotation.category][annotation.image].truths.push_back(&annotation);
  for (const CocoResult& result : results) {
    check(!std::isnan(result.score), "a detection with the score NaN cannot be evaluated");
    const auto category = categories.find(result.category);
    if (category != categories.end()) category->second[result.image].found.push_back(&result);
  }
  return categories;
}

}  // namespace

CocoScores evaluate_coco(const std::vector<CocoAnnotation>& annotations,
                         const std::vector<CocoResult>& results) {
  std::map<int64_t, Scenes> categories = group(annotations, results);
  CocoScores scores;
  std::vector<std::pair<Scenes*, CocoFigures*>> work;
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
