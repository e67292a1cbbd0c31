#include "eval/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "eval/image_findings.h"

namespace rcnn {
namespace {

/// A detection that is not ignored.
struct Counted {
  float score;
  bool right;
};

ScoreCurve curve_of(const std::vector<Counted>& counted, int64_t truths) {
  ScoreCurve curve;
  double best = 0;
  int64_t found_at_best = 0;
  size_t first = 0, last = 0;  // the range of thresholds with the same detections and the best F1
  for (int percent = 0; percent <= 100; ++percent) {
    const float score = static_cast<float>(percent) / 100;
    int64_t right = 0, found = 0;
    for (const Counted& detection : counted) {
      if (detection.score < score) continue;
      ++found;
      right += detection.right;
    }
    const auto ratio = [](int64_t a, int64_t b) { return static_cast<double>(a) / static_cast<double>(b); };
    // A quotient of two integers rounds the same way whether or not the fraction is reduced, so equal values
    // compare equal.
    const double f1 = right == 0 ? 0 : ratio(2 * right, found + truths);
    curve.score.push_back(score);
    curve.precision.push_back(static_cast<float>(found == 0 ? 1 : ratio(right, found)));
    curve.recall.push_back(static_cast<float>(truths == 0 ? 0 : ratio(right, truths)));
    curve.f1.push_back(static_cast<float>(f1));
    const auto i = static_cast<size_t>(percent);
    if (f1 > best) {
      best = f1;
      found_at_best = found;
      first = i;
    }
    if (best > 0 && found == found_at_best) last = i;
  }
  if (best > 0) {
    curve.best_score = curve.score[(first + last) / 2];
    curve.best_f1 = static_cast<float>(best);
  }
  return curve;
}

ObjectSize size_of(const Object& object) {
  const double width = double{object.box.x2} - double{object.box.x1},
               height = double{object.box.y2} - double{object.box.y1};
  const double area = object.area > 0 ? object.area : width * height;
  return area < 32 * 32 ? ObjectSize::small : area < 96 * 96 ? ObjectSize::medium : ObjectSize::large;
}

/// The index of the object that the box overlaps most, among those for which `accept(index)` is true and
/// that it overlaps by `at_least`; -1 if there is none.
template <class Accept>
int best_overlapped(const Box& box, const std::vector<Object>& objects, double at_least,
                    const Accept& accept) {
  int best = -1;
  double best_overlap = 0;
  for (size_t i = 0; i < objects.size(); ++i) {
    if (!accept(i)) continue;
    const double with = overlap(box, objects[i].box);
    if (with < at_least || with <= best_overlap) continue;
    best = static_cast<int>(i);
    best_overlap = with;
  }
  return best;
}

/// Pairs wrong detections with objects of other classes that are not paired yet.
void pair_across_classes(ImageFindings& image, const std::vector<Object>& objects) {
  for (Wrong& wrong : image.wrong) {
    wrong.paired = best_overlapped(wrong.detection->box, objects, kRightOverlap, [&](size_t i) {
      const Evidence& evidence = image.evidence[i];
      return objects[i].label != wrong.detection->label && !is_ignored(objects[i]) && !evidence.found &&
             !evidence.other_class;
    });
    if (wrong.paired >= 0) image.evidence[static_cast<size_t>(wrong.paired)].other_class = true;
  }
}

/// Notes the objects beside which a wrong detection lies. One that is paired with another object was meant
/// for that, and says nothing of this one.
void find_poorly_placed(ImageFindings& image) {
  for (const Wrong& wrong : image.wrong)
    if (wrong.paired < 0 && wrong.nearest.object >= 0 && wrong.nearest.overlap >= kNearOverlap &&
        wrong.nearest.overlap < kRightOverlap)
      image.evidence[static_cast<size_t>(wrong.nearest.object)].poorly_placed = true;
}

/// Says why a detection is wrong, and of which other class the object is that it lies on.
void find_kind(Wrong& wrong, const std::vector<Object>& objects) {
  const auto other_class = [&](double at_least) {
    return best_overlapped(wrong.detection->box, objects, at_least,
                           [&](size_t i) { return objects[i].label != wrong.detection->label; });
  };
  wrong.mistaken = wrong.paired;
  if (wrong.paired < 0) {
    if (wrong.nearest.overlap >= kRightOverlap) {
      wrong.kind = FalsePositive::duplicate;
      return;
    }
    wrong.mistaken = other_class(kRightOverlap);
  }
  if (wrong.mistaken >= 0)
    wrong.kind = FalsePositive::wrong_class;
  else if (wrong.nearest.overlap >= kNearOverlap)
    wrong.kind = FalsePositive::poorly_placed;
  else if ((wrong.mistaken = other_class(kNearOverlap)) >= 0)
    wrong.kind = FalsePositive::wrong_class_and_place;
}

/// Groups the detections by image, best first, and collects what they say about the objects.
std::vector<ImageFindings> look(const std::vector<Detection>& detections, const std::vector<size_t>& ranking,
                                const std::vector<Judgement>& judgements,
                                const std::vector<float>& thresholds, const Dataset& dataset) {
  std::vector<ImageFindings> images(dataset.samples.size());
  for (size_t i = 0; i < images.size(); ++i) images[i].evidence.resize(dataset.samples[i].objects.size());
  for (const size_t i : ranking) {
    const Detection& detection = detections[i];
    const auto& [outcome, nearest] = judgements[i];
    if (outcome == Outcome::ignored) continue;
    ImageFindings& image = images[static_cast<size_t>(detection.image)];
    const bool shown = detection.score >= thresholds[static_cast<size_t>(detection.label - 1)];
    if (nearest.object >= 0) {
      Evidence& of_object = image.evidence[static_cast<size_t>(nearest.object)];
      of_object.found |= shown && outcome == Outcome::right;
      of_object.low_score |= !shown && nearest.overlap >= kRightOverlap;
    }
    if (shown && outcome == Outcome::right) image.right.push_back(detection);
    if (shown && outcome == Outcome::wrong) image.wrong.push_back({&detection, nearest});
  }
  for (size_t i = 0; i < images.size(); ++i) {
    const std::vector<Object>& objects = dataset.samples[i].objects;
    pair_across_classes(images[i], objects);
    find_poorly_placed(images[i]);
    for (Wrong& wrong : images[i].wrong) find_kind(wrong, objects);
  }
  return images;
}

/// Why the object was not found. `trace` may be null; `score` is the threshold of the object's class.
MissCause cause_of(int object, const std::vector<Object>& objects, const Evidence& evidence,
                   const Trace* trace, float score) {
  if (evidence.other_class) return MissCause::wrong_class;
  if (evidence.poorly_placed) return MissCause::poorly_placed;
  bool low_score = evidence.low_score;
  if (trace != nullptr) {
    const Object& missed = objects[static_cast<size_t>(object)];
    for (const Detection& box : trace->before_nms) {
      if (overlap(box.box, missed.box) < kRightOverlap) continue;
      if (nearest_object(box.box, box.label, objects).object != object) continue;
      if (box.score >= score) return MissCause::lost_in_nms;
      low_score = true;
    }
    low_score =
        low_score || std::any_of(trace->proposals.begin(), trace->proposals.end(),
                                 [&](const Box& box) { return overlap(box, missed.box) >= kRightOverlap; });
  }
  if (low_score) return MissCause::low_score;
  return trace != nullptr ? MissCause::not_proposed : MissCause::not_detected;
}

/// Adds the objects that were not found, each with its cause.
void find_misses(std::vector<ImageFindings>& images, const std::vector<Trace>& traces, const Dataset& dataset,
                 const std::vector<float>& thresholds) {
  for (size_t i = 0; i < images.size(); ++i) {
    const std::vector<Object>& objects = dataset.samples[i].objects;
    for (size_t o = 0; o < objects.size(); ++o) {
      if (is_ignored(objects[o]) || images[i].evidence[o].found) continue;
      const MissCause cause =
          cause_of(static_cast<int>(o), objects, images[i].evidence[o], traces.empty() ? nullptr : &traces[i],
                   thresholds.at(static_cast<size_t>(objects[o].label - 1)));
      images[i].missed.push_back({static_cast<int>(i), static_cast<int>(o), size_of(objects[o]), cause});
    }
  }
}

void add_to_confusion(Confusion& confusion, const ImageFindings& image, const std::vector<Object>& objects) {
  const auto count = [&](int truth, int found) {
    ++confusion[static_cast<size_t>(truth)][static_cast<size_t>(found)];
  };
  const auto label_of = [&](int object) { return objects[static_cast<size_t>(object)].label; };
  for (const Detection& right : image.right) count(right.label, right.label);
  for (const Wrong& wrong : image.wrong)
    count(wrong.paired < 0 ? 0 : label_of(wrong.paired), wrong.detection->label);
  for (const Miss& miss : image.missed)
    if (miss.cause != MissCause::wrong_class) count(label_of(miss.object), 0);
}

/// Adds the curve of each class and the curve of all classes together.
void add_curves(Diagnosis& diagnosis, const std::vector<Detection>& detections,
                const std::vector<Judgement>& judgements, const Dataset& dataset) {
  std::vector<Counted> all;
  std::vector<std::vector<Counted>> by_class(dataset.classes.size());
  for (size_t i = 0; i < detections.size(); ++i) {
    if (judgements[i].outcome == Outcome::ignored) continue;
    all.push_back({detections[i].score, judgements[i].outcome == Outcome::right});
    by_class[static_cast<size_t>(detections[i].label - 1)].push_back(all.back());
  }
  int64_t truths_of_all = 0;
  for (size_t c = 0; c < by_class.size(); ++c) {
    const int64_t truths = count_truths(static_cast<int>(c) + 1, dataset);
    diagnosis.classes.push_back(curve_of(by_class[c], truths));
    truths_of_all += truths;
  }
  diagnosis.all = curve_of(all, truths_of_all);
}

void check_traces(const std::vector<Trace>& traces, const Dataset& dataset) {
  check(traces.empty() || traces.size() == dataset.samples.size(),
        "a diagnosis of {} images needs as many traces or none; found {}", dataset.samples.size(),
        traces.size());
}

}  // namespace

std::vector<ImageFindings> find_errors(const std::vector<Detection>& detections,
                                       const std::vector<Trace>& traces, const Dataset& dataset,
                                       const std::vector<float>& thresholds) {
  check_traces(traces, dataset);
  const std::vector<size_t> ranking = ranked(detections, dataset);
  std::vector<ImageFindings> images =
      look(detections, ranking, judge(detections, ranking, dataset, kRightOverlap), thresholds, dataset);
  find_misses(images, traces, dataset, thresholds);
  return images;
}

Diagnosis diagnose(const std::vector<Detection>& detections, const std::vector<Trace>& traces,
                   const Dataset& dataset, bool every_image) {
  check_traces(traces, dataset);
  const std::vector<size_t> ranking = ranked(detections, dataset);
  const std::vector<Judgement> judgements = judge(detections, ranking, dataset, kRightOverlap);
  Diagnosis diagnosis;
  add_curves(diagnosis, detections, judgements, dataset);

  diagnosis.confusion = Confusion(dataset.classes.size() + 1);
  std::vector<float> thresholds;
  for (const ScoreCurve& curve : diagnosis.classes) thresholds.push_back(curve.best_score);
  std::vector<ImageFindings> images = look(detections, ranking, judgements, thresholds, dataset);
  find_misses(images, traces, dataset, thresholds);
  for (size_t i = 0; i < images.size(); ++i) {
    const std::vector<Object>& objects = dataset.samples[i].objects;
    for (size_t o = 0; o < objects.size(); ++o) {
      if (!is_ignored(objects[o])) ++diagnosis.objects_by_size[static_cast<size_t>(size_of(objects[o]))];
    }
    for (const Miss& miss : images[i].missed) {
      diagnosis.misses.push_back(miss);
      ++diagnosis.misses_by_size[static_cast<size_t>(miss.size)][static_cast<size_t>(miss.cause)];
    }
    add_to_confusion(diagnosis.confusion, images[i], objects);
    for (const Wrong& wrong : images[i].wrong) ++diagnosis.false_positives[static_cast<size_t>(wrong.kind)];
  }
  diagnosis.worst = worst_images(images, dataset, every_image);
  diagnosis.good = good_images(images, dataset);
  diagnosis.examples = example_images(images, dataset);
  return diagnosis;
}

}  // namespace rcnn
