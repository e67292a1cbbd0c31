#include "eval/weighted_figures.h"

#include <limits>
#include <set>
#include <unordered_map>

#include "core/error.h"
#include "core/parallel.h"
#include "eval/coco_metrics.h"
#include "eval/precision_recall.h"

namespace rcnn {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
enum : size_t { kMap50, kAp, kAp50, kAr, kFirstSize };  // in kComparedFigures

double asked_of(const std::vector<std::pair<uint32_t, uint32_t>>& truths, std::span<const uint32_t> weights) {
  double sum = 0;
  for (const auto& [image, count] : truths)
    sum += static_cast<double>(weights[image]) * static_cast<double>(count);
  return sum;
}

void trace(PrecisionRecall& curve, const std::vector<uint32_t>& ranking, std::span<const uint32_t> weights,
           double asked, double epsilon) {
  curve.begin(asked, epsilon);
  for (const uint32_t entry : ranking) curve.add(weights[entry >> 1], (entry & 1) == 1);
  curve.finish();
}

/// The mean of the values that are not NaN; NaN if there are none.
struct Mean {
  double sum = 0;
  int count = 0;

  void add(double value) {
    if (value != value) return;
    sum += value;
    ++count;
  }
  double value() const { return count == 0 ? kNan : sum / count; }
};

}  // namespace

WeightedFigures::WeightedFigures(const Findings& found, const Dataset& dataset,
                                 const std::vector<CocoAnnotation>& annotations) {
  add_voc(found, dataset);
  add_coco(found, dataset, annotations);
}

void WeightedFigures::add_voc(const Findings& found, const Dataset& dataset) {
  classes_.resize(dataset.classes.size());
  for (size_t i = 0; i < dataset.samples.size(); ++i) {
    std::vector<uint32_t> counts(classes_.size());
    for (const Object& object : dataset.samples[i].objects)
      if (!is_ignored(object)) ++counts.at(static_cast<size_t>(object.label - 1));
    for (size_t c = 0; c < counts.size(); ++c)
      if (counts[c] > 0) classes_[c].truths.emplace_back(static_cast<uint32_t>(i), counts[c]);
  }
  const std::vector<size_t> ranking = ranked(found.detections, dataset);
  const std::vector<Judgement> judgements = judge(found.detections, ranking, dataset, 0.5);
  for (const size_t i : ranking) {
    if (judgements[i].outcome == Outcome::ignored) continue;
    const Detection& detection = found.detections[i];
    const bool right = judgements[i].outcome == Outcome::right;
    classes_[static_cast<size_t>(detection.label - 1)].found.push_back(
        2 * static_cast<uint32_t>(detection.image) + (right ? 1 : 0));
  }
}

void WeightedFigures::add_coco(const Findings& found, const Dataset& dataset,
                               const std::vector<CocoAnnotation>& annotations) {
  std::unordered_map<int64_t, uint32_t> index_of;
  for (size_t i = 0; i < dataset.samples.size(); ++i)
    index_of.emplace(dataset.samples[i].coco_id.value_or(static_cast<int64_t>(i)), static_cast<uint32_t>(i));
  const auto index = [&](int64_t number) {
    const auto at = index_of.find(number);
    check(at != index_of.end(), "the image {} is not one of the {} that are compared", number,
          dataset.samples.size());
    return at->second;
  };
  std::map<int64_t, CocoScenes> scenes = coco_scenes(annotations, found.results);
  std::vector<CocoScenes*> work;
  for (auto& [category, of_category] : scenes) work.push_back(&of_category);
  categories_.resize(work.size());
  parallel_chunks(static_cast<int64_t>(work.size()), [&](int64_t c) {
    CocoScenes& of_category = *work[static_cast<size_t>(c)];
    prepare(of_category);
    for (const CocoArea area : {CocoArea::all, CocoArea::small, CocoArea::medium, CocoArea::large}) {
      OfArea& to = categories_[static_cast<size_t>(c)][static_cast<size_t>(area)];
      const CocoMatches matches = match_coco(of_category, area);
      for (const auto& [image, count] : matches.truths)
        if (count > 0) to.truths.emplace_back(index(image), static_cast<uint32_t>(count));
      if (to.truths.empty()) continue;
      for (const CocoMatch& match : matches.found)
        for (size_t t = 0; t < kCocoThresholds; ++t)
          if (match.right[t] || match.wrong[t])
            to.found[t].push_back(2 * index(match.image) + (match.right[t] ? 1 : 0));
    }
  });
}

std::vector<double> WeightedFigures::at(std::span<const uint32_t> weights) const {
  std::vector<double> figures(kComparedFigures.size(), kNan);
  PrecisionRecall curve;
  Mean map50, ap50, recall;
  for (const OfClass& of_class : classes_) {
    const double asked = asked_of(of_class.truths, weights);
    trace(curve, of_class.found, weights, asked, 0);
    figures.push_back(asked == 0 ? kNan : curve.area());
    map50.add(figures.back());
  }
  figures[kMap50] = map50.value();

  std::array<Mean, 4> ap;
  for (const OfCategory& category : categories_)
    for (size_t area = 0; area < category.size(); ++area) {
      const double asked = asked_of(category[area].truths, weights);
      if (asked == 0) continue;
      double precision = 0, right = 0;
      for (size_t t = 0; t < kCocoThresholds; ++t) {
        trace(curve, category[area].found[t], weights, asked, std::numeric_limits<double>::epsilon());
        const double of_threshold = curve.mean_at(kCocoRecalls, coco_recall_point);
        precision += of_threshold;
        right += curve.right();
        if (area == 0 && t == 0) ap50.add(of_threshold);
      }
      ap[area].add(precision / static_cast<double>(kCocoThresholds));
      if (area == 0) recall.add(right / asked / static_cast<double>(kCocoThresholds));
    }
  figures[kAp] = ap[0].value();
  figures[kAp50] = ap50.value();
  figures[kAr] = recall.value();
  for (size_t area = 1; area < ap.size(); ++area) figures[kFirstSize + area - 1] = ap[area].value();
  return figures;
}

std::vector<size_t> WeightedFigures::images_with_objects() const {
  std::vector<size_t> counts;
  std::set<uint32_t> of_voc;
  for (const OfClass& of_class : classes_)
    for (const auto& [image, count] : of_class.truths) of_voc.insert(image);
  counts.push_back(of_voc.size());
  std::array<std::set<uint32_t>, 4> of_coco;
  for (const OfCategory& category : categories_)
    for (size_t area = 0; area < category.size(); ++area)
      for (const auto& [image, count] : category[area].truths) of_coco[area].insert(image);
  for (const size_t area : {0, 0, 0, 1, 2, 3}) counts.push_back(of_coco[area].size());  // kComparedFigures
  for (const OfClass& of_class : classes_) counts.push_back(of_class.truths.size());
  return counts;
}

}  // namespace rcnn
