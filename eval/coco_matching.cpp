#include "eval/coco_matching.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace rcnn {
namespace {

/// Rounds as numpy.linspace does, like coco_recall_point.
double iou_threshold(size_t t) {
  return t == kCocoThresholds - 1 ? 0.95 : static_cast<double>(t) * ((0.95 - 0.5) / 9) + 0.5;
}

/// Areas from `min` to `max` square pixels, both included: an area of exactly 32^2 is both small and medium.
struct AreaRange {
  double min, max;
  bool holds(double area) const { return !(area < min || area > max); }
};

constexpr std::array<AreaRange, 4> kRanges{{{0, 1e10}, {0, 32 * 32}, {32 * 32, 96 * 96}, {96 * 96, 1e10}}};

double overlap_of(const CocoResult& found, const CocoAnnotation& truth) {
  const double width = std::min(found.x + found.width, truth.x + truth.width) - std::max(found.x, truth.x);
  if (width <= 0) return 0;
  const double height = std::min(found.y + found.height, truth.y + truth.height) - std::max(found.y, truth.y);
  if (height <= 0) return 0;
  const double common = width * height, of_found = found.width * found.height;
  return common / (truth.crowd ? of_found : of_found + truth.width * truth.height - common);
}

/// Matches the detections of a scene to its truths, for one range of areas.
class Judge {
 public:
  Judge(int64_t image, const CocoScene& scene, const AreaRange& range)
      : image_(image), scene_(scene), range_(range) {
    for (const CocoAnnotation* t : scene.truths)
      ignored_.push_back(t->crowd || t->ignore || !range.holds(t->area));
  }

  void append_to(CocoMatches& matches) const {
    matches.truths.emplace_back(image_, std::count(ignored_.begin(), ignored_.end(), false));
    std::vector<CocoMatch>& list = matches.found;
    const size_t first = list.size();
    for (size_t f = 0; f < scene_.found.size(); ++f)
      list.push_back({scene_.found[f]->score, image_, f, {}, {}});
    for (size_t t = 0; t < kCocoThresholds; ++t) {
      std::vector<bool> taken(scene_.truths.size());
      for (size_t f = 0; f < scene_.found.size(); ++f) judge(f, t, taken, list[first + f]);
    }
  }

 private:
  static constexpr size_t kNone = std::numeric_limits<size_t>::max();

  double overlap(size_t f, size_t t) const { return scene_.overlaps[f * scene_.truths.size() + t]; }

  void judge(size_t f, size_t t, std::vector<bool>& taken, CocoMatch& outcome) const {
    const double threshold = std::min(iou_threshold(t), 1 - 1e-10);
    size_t truth = best(f, threshold, taken, false);
    if (truth != kNone) {
      outcome.right.set(t);
      taken[truth] = true;
      return;
    }
    truth = best(f, threshold, taken, true);
    if (truth != kNone)
      taken[truth] = true;
    else if (range_.holds(scene_.found[f]->width * scene_.found[f]->height))
      outcome.wrong.set(t);
  }

  /// The truth that the detection overlaps most, the last one in case of a tie. Looks either only at ignored
  /// truths or only at the others.
  size_t best(size_t f, double at_least, const std::vector<bool>& taken, bool among_ignored) const {
    size_t result = kNone;
    for (size_t t = 0; t < taken.size(); ++t) {
      if (ignored_[t] != among_ignored || (taken[t] && !scene_.truths[t]->crowd)) continue;
      if (overlap(f, t) < at_least) continue;
      at_least = overlap(f, t);
      result = t;
    }
    return result;
  }

  int64_t image_;
  const CocoScene& scene_;
  const AreaRange& range_;
  std::vector<bool> ignored_;  // one entry per truth
};

}  // namespace

double coco_recall_point(int index) { return index == kCocoRecalls - 1 ? 1.0 : index * (1.0 / 100); }

std::map<int64_t, CocoScenes> coco_scenes(const std::vector<CocoAnnotation>& annotations,
                                          const std::vector<CocoResult>& results) {
  std::map<int64_t, CocoScenes> categories;
  for (const CocoAnnotation& annotation : annotations)
    categories[annotation.category][annotation.image].truths.push_back(&annotation);
  for (const CocoResult& result : results) {
    check(!std::isnan(result.score), "a detection with the score NaN cannot be evaluated");
    const auto category = categories.find(result.category);
    if (category != categories.end()) category->second[result.image].found.push_back(&result);
  }
  return categories;
}

void prepare(CocoScenes& scenes) {
  for (auto& [image, scene] : scenes) {
    auto& found = scene.found;
    std::stable_sort(found.begin(), found.end(),
                     [](const CocoResult* a, const CocoResult* b) { return a->score > b->score; });
    if (found.size() > kCocoDetections) found.resize(kCocoDetections);
    scene.overlaps.reserve(found.size() * scene.truths.size());
    for (const CocoResult* f : found)
      for (const CocoAnnotation* t : scene.truths) scene.overlaps.push_back(overlap_of(*f, *t));
  }
}

int64_t CocoMatches::asked() const {
  int64_t sum = 0;
  for (const auto& [image, count] : truths) sum += count;
  return sum;
}

CocoMatches match_coco(const CocoScenes& scenes, CocoArea area) {
  CocoMatches matches;
  for (const auto& [image, scene] : scenes)
    Judge(image, scene, kRanges[static_cast<size_t>(area)]).append_to(matches);
  std::stable_sort(matches.found.begin(), matches.found.end(),
                   [](const CocoMatch& a, const CocoMatch& b) { return a.score > b.score; });
  return matches;
}

}  // namespace rcnn
