#include "eval/biography.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "eval/image_findings.h"
#include "kernels/loss/loss_math.h"

namespace rcnn {
namespace {

/// Everything that the sentences about one image are made of.
struct Teller {
  const Stages& stages;
  const ModelConfig& config;
  const std::vector<Object>& objects;
  const std::vector<std::string>& classes;
  const std::vector<float>& thresholds;

  std::string class_name(int label) const { return classes.at(static_cast<size_t>(label - 1)); }
  const StageBox& proposed(int i) const { return stages.proposed[static_cast<size_t>(i)]; }
  const StageBox& classified(int i) const { return stages.classified[static_cast<size_t>(i)]; }
  float threshold(int label) const { return thresholds.at(static_cast<size_t>(label - 1)); }

  std::string level_of(int anchor) const { return level_name(stages, stages.level_of(anchor)); }
  double object_overlap(const Box& box, int object) const {
    return overlap(box, objects[static_cast<size_t>(object)].box);
  }
  /// Whether the box belongs to this object by the rule of the diagnosis.
  bool belongs(const StageBox& box, int object) const {
    return box.used() && object_overlap(box.seen, object) >= kRightOverlap &&
           nearest_object(box.seen, box.group, objects).object == object;
  }
  /// "detection 2 (horse .93)"
  std::string detection_name(int place) const {
    const StageBox& box = classified(stages.detections[static_cast<size_t>(place)]);
    return fmt::format("detection {} ({} {})", place + 1, class_name(box.group), score(box));
  }
  /// Its score, with so many digits that it is seen whether it reaches the threshold.
  std::string score(const StageBox& box) const {
    return compared(double{box.score}, double{threshold(box.group)}).a;
  }
};

void find_best_anchor(const Teller& of, ObjectStory& story) {
  for (size_t i = 0; i < of.stages.seen_anchors.size(); ++i) {
    const auto with = static_cast<float>(of.object_overlap(of.stages.seen_anchors[i], story.object));
    if (with > story.anchor_overlap) story.anchor_overlap = with, story.best_anchor = static_cast<int>(i);
  }
}

/// The box of the class list that belongs to the object and has the highest score; -1 if there is none.
int best_classified(const Teller& of, int object) {
  const int label = of.objects[static_cast<size_t>(object)].label;
  int best = -1;
  for (int i = 0; i < std::ssize(of.stages.classified); ++i)
    if (of.classified(i).group == label && of.belongs(of.classified(i), object) &&
        (best < 0 || of.classified(i).score > of.classified(best).score))
      best = i;
  return best;
}

/// The place of the best detection that belongs to the object, and is below the threshold; -1 if there is
/// none.
int best_below(const Teller& of, int object) {
  const int label = of.objects[static_cast<size_t>(object)].label;
  for (int i = 0; i < std::ssize(of.stages.detections); ++i) {
    const StageBox& box = of.classified(of.stages.detections[static_cast<size_t>(i)]);
    if (box.group == label && of.belongs(box, object)) return box.score < of.threshold(label) ? i : -1;
  }
  return -1;
}

/// Follows the boxes that overlap the object enough to where the last of them was lost, before the head.
void find_where_not_proposed(const Teller& of, ObjectStory& story) {
  const Stages& stages = of.stages;
  int best = -1;  // of all anchors, by the IoU of the box that it was moved to
  double best_overlap = 0;
  for (int i = 0; i < std::ssize(stages.predicted); ++i) {
    const double with = of.object_overlap(stages.predicted[static_cast<size_t>(i)], story.object);
    if (with > best_overlap) best = i, best_overlap = with;
  }
  story.anchor = best;
  if (best_overlap < kRightOverlap) {
    story.fate = Fate::no_box;
    story.sentence =
        fmt::format("the box that comes closest, from an anchor on {}, overlaps it by {} only",
                    best < 0 ? "no level" : of.level_of(best), compared(best_overlap, kRightOverlap).a);
    return;
  }
  // Of the boxes that overlap it enough, the one that came furthest: each list is best first by level.
  int furthest = -1;
  const auto stage_of = [&](const StageBox& box) { return !box.used() ? 0 : box.killer >= 0 ? 1 : 2; };
  for (int i = 0; i < std::ssize(stages.proposed); ++i) {
    const StageBox& box = of.proposed(i);
    if (box.source < 0) continue;
    if (of.object_overlap(stages.predicted[static_cast<size_t>(box.source)], story.object) < kRightOverlap)
      continue;
    if (furthest < 0 || stage_of(box) > stage_of(of.proposed(furthest)) ||
        (stage_of(box) == stage_of(of.proposed(furthest)) && box.score > of.proposed(furthest).score))
      furthest = i;
  }
  story.proposed = furthest;
  if (furthest < 0) {
    story.fate = Fate::below_top_k;
    int first = -1;  // the best ranked one
    for (int i = 0; i < std::ssize(stages.predicted); ++i)
      if (of.object_overlap(stages.predicted[static_cast<size_t>(i)], story.object) >= kRightOverlap &&
          (first < 0 || stages.rank[static_cast<size_t>(i)] < stages.rank[static_cast<size_t>(first)]))
        first = i;
    story.anchor = first;
    const StageLevel& level = stages.levels[stages.level_of(first)];
    const int64_t kept = std::min<int64_t>(of.config.rpn_pre_nms_top_n_test, level.count());
    story.sentence =
        fmt::format("its best box ranks {} of {} on {}, of which the first {} go on: lost there",
                    stages.rank[static_cast<size_t>(first)] + 1, level.count(), of.level_of(first), kept);
    return;
  }
  const StageBox& box = of.proposed(furthest);
  story.anchor = box.source;
  if (!box.used()) {
    story.fate = Fate::left_out;
    story.sentence = fmt::format(
        "its box from an anchor on {} was left out, because a side is shorter than {} px of the network's "
        "input or the objectness is below {}",
        of.level_of(box.source), of.config.rpn_min_size, of.config.rpn_score_thresh);
  } else if (box.killer >= 0) {
    story.fate = Fate::lost_in_rpn_nms;
    const StageBox& killer = of.proposed(box.killer);
    const Compared ious = compared(double{box.killer_overlap}, double{of.config.rpn_nms_thresh});
    story.sentence = fmt::format(
        "its box was suppressed by proposal {} of the same level ({}), with which its IoU is {} > {}, and "
        "which overlaps the object by {} only",
        killer.place + 1, of.level_of(box.source), ious.a, ious.b,
        compared(of.object_overlap(killer.seen, story.object), kRightOverlap).a);
  } else {
    story.fate = Fate::over_proposals;
    story.sentence = fmt::format("its box survived the first NMS but came after the {} proposals that go on",
                                 of.stages.proposals.size());
  }
}

void tell_low_score(const Teller& of, ObjectStory& story) {
  const int label = of.objects[static_cast<size_t>(story.object)].label;
  story.fate = Fate::low_score;
  story.classified = best_classified(of, story.object);
  if (story.classified >= 0) {
    const StageBox& box = of.classified(story.classified);
    const Compared scores = compared(double{box.score}, double{of.threshold(label)});
    story.sentence = fmt::format(
        "the head gave its best box {} {} (IoU {}), below the confidence threshold {}", of.class_name(label),
        scores.a, share(of.object_overlap(box.seen, story.object)), scores.b);
    story.proposed = of.stages.proposals[static_cast<size_t>(box.source)];
    return;
  }
  int best = -1;  // of the proposals that overlap it enough, the most probable
  for (int p = 0; p < std::ssize(of.stages.proposals); ++p)
    if (of.object_overlap(of.proposed(of.stages.proposals[static_cast<size_t>(p)]).seen, story.object) >=
            kRightOverlap &&
        (best < 0 || of.stages.probability(p, label) > of.stages.probability(best, label)))
      best = p;
  if (best < 0) {
    story.sentence = "a detection of its class lies on it with too low a score";
    return;
  }
  const float probability = of.stages.probability(best, label);
  story.proposed = of.stages.proposals[static_cast<size_t>(best)];
  const std::string head = fmt::format(
      "proposal {} covers it (IoU {}), but the head called that {} ", best + 1,
      share(of.object_overlap(of.proposed(story.proposed).seen, story.object)), of.class_name(label));
  const std::string background = share(double{of.stages.probability(best, 0)});
  if (probability > of.config.box_score_thresh) {  // it made a box of it, which lies elsewhere
    story.sentence = fmt::format(
        "{}{} and background {}, but its box overlaps another object more, or this one less than {}", head,
        share(double{probability}), background, share(kRightOverlap));
    return;
  }
  story.fate = Fate::dropped;
  const Compared scores = compared(double{probability}, double{of.config.box_score_thresh});
  story.sentence = fmt::format("{}{} and background {}; boxes of {} or less are dropped", head, scores.a,
                               background, scores.b);
}

void tell_lost_in_nms(const Teller& of, ObjectStory& story) {
  story.classified = best_classified(of, story.object);
  const StageBox& box = of.classified(story.classified);
  story.fate = box.killer >= 0 ? Fate::lost_in_nms : Fate::over_detections;
  const std::string scored = fmt::format("its box scored {} {}", of.class_name(box.group), of.score(box));
  if (box.killer < 0) {
    story.sentence = fmt::format("{} but came after the {} detections that an image may have", scored,
                                 of.stages.detections.size());
    return;
  }
  story.detection = of.classified(box.killer).place;
  const Compared ious = compared(double{box.killer_overlap}, double{of.config.box_nms_thresh});
  story.sentence = fmt::format("{} but was suppressed by {}, with which its IoU is {} > {}", scored,
                               of.detection_name(story.detection), ious.a, ious.b);
}

void tell_wrong_class(const Teller& of, const ImageFindings& findings, const std::vector<Detection>& all,
                      ObjectStory& story) {
  story.fate = Fate::wrong_class;
  const int label = of.objects[static_cast<size_t>(story.object)].label;
  for (const Wrong& wrong : findings.wrong)
    if (wrong.paired == story.object) story.detection = static_cast<int>(wrong.detection - all.data());
  const StageBox& box = of.classified(of.stages.detections[static_cast<size_t>(story.detection)]);
  const std::string with = share(of.object_overlap(box.seen, story.object));
  story.below = best_below(of, story.object);
  if (story.below >= 0) {
    story.classified = of.stages.detections[static_cast<size_t>(story.below)];
    const StageBox& own = of.classified(story.classified);
    story.sentence = fmt::format(
        "found as {} {} by detection {} (IoU {}), below the confidence threshold {}; shown on it, with an "
        "IoU of {}, is {}",
        of.class_name(label), of.score(own), story.below + 1,
        share(of.object_overlap(own.seen, story.object)),
        compared(double{of.threshold(label)}, double{own.score}).a, with, of.detection_name(story.detection));
    return;
  }
  story.sentence = fmt::format("classified as {} {}, with {} {}: {} lies on it (IoU {})",
                               of.class_name(box.group), of.score(box), of.class_name(label),
                               share(double{of.stages.probability(box.source, label)}),
                               of.detection_name(story.detection), with);
}

/// For each detection, whether the confusion matrix pairs it with an object of another class: then it tells
/// of that object, not of the one of its own class that it happens to touch.
std::vector<bool> claimed_elsewhere(const ImageFindings& findings, const std::vector<Detection>& all) {
  std::vector<bool> claimed(all.size());
  for (const Wrong& wrong : findings.wrong)
    if (wrong.paired >= 0) claimed[static_cast<size_t>(wrong.detection - all.data())] = true;
  return claimed;
}

/// The shown detection whose nearest object this is and that overlaps it most, by kNearOverlap at least. -1
/// if there is none, or only such as are claimed by other objects.
int nearest_detection(const Teller& of, int object, bool right, const std::vector<bool>& claimed) {
  const int label = of.objects[static_cast<size_t>(object)].label;
  int best = -1;
  double most = kNearOverlap;
  for (int i = 0; i < std::ssize(of.stages.detections); ++i) {
    if (claimed[static_cast<size_t>(i)]) continue;
    const StageBox& box = of.classified(of.stages.detections[static_cast<size_t>(i)]);
    if (box.group != label || box.score < of.threshold(label)) continue;
    const NearestObject nearest = nearest_object(box.seen, label, of.objects);
    if (nearest.object != object) continue;
    if (right && nearest.overlap >= kRightOverlap) return i;  // the best one: it is matched first
    if (nearest.overlap > most || (best < 0 && nearest.overlap == most)) best = i, most = nearest.overlap;
  }
  return best;
}

ObjectStory tell_object(const Teller& of, int index, const ImageFindings& findings,
                        const std::vector<Detection>& all) {
  ObjectStory story;
  story.object = index;
  find_best_anchor(of, story);
  const Object& object = of.objects[static_cast<size_t>(index)];
  const auto miss = std::find_if(findings.missed.begin(), findings.missed.end(),
                                 [&](const Miss& m) { return m.object == index; });
  const std::vector<bool> claimed = claimed_elsewhere(findings, all);
  const MissCause cause = miss == findings.missed.end() ? MissCause::not_proposed : miss->cause;
  if (is_ignored(object)) {
    story.fate = Fate::not_counted;
    story.sentence = object.crowd ? "a crowd region, which need not be found"
                                  : "marked as difficult, so it need not be found";
  } else if (miss == findings.missed.end()) {
    story.fate = Fate::found;
    story.detection = nearest_detection(of, index, true, claimed);
    story.classified = of.stages.detections[static_cast<size_t>(story.detection)];
    story.sentence = fmt::format("found by {}, IoU {}", of.detection_name(story.detection),
                                 share(of.object_overlap(of.classified(story.classified).seen, index)));
  } else if (cause == MissCause::wrong_class) {
    tell_wrong_class(of, findings, all, story);
  } else if (cause == MissCause::poorly_placed) {
    story.fate = Fate::poorly_placed;
    story.detection = nearest_detection(of, index, false, claimed);
    const StageBox& box = of.classified(of.stages.detections[static_cast<size_t>(story.detection)]);
    story.sentence = fmt::format("{} is for it but overlaps it by {} only: .5 would count",
                                 of.detection_name(story.detection),
                                 compared(of.object_overlap(box.seen, index), kRightOverlap).a);
  } else if (cause == MissCause::lost_in_nms) {
    tell_lost_in_nms(of, story);
  } else if (cause == MissCause::low_score) {
    tell_low_score(of, story);
  } else {
    find_where_not_proposed(of, story);
  }
  const std::string anchor =
      story.best_anchor < 0 ? "no anchor overlaps it"
                            : fmt::format("best anchor IoU {} on {}", share(double{story.anchor_overlap}),
                                          of.level_of(story.best_anchor));
  story.sentence = fmt::format("object {} ({}, {} px of the photograph): {}; {}", index + 1,
                               of.class_name(object.label), extent(object.box), anchor, story.sentence);
  return story;
}

DetectionStory tell_detection(const Teller& of, int place) {
  const Stages& stages = of.stages;
  const int row = stages.detections[static_cast<size_t>(place)];
  const StageBox& box = of.classified(row);
  const StageBox& proposal = of.proposed(stages.proposals[static_cast<size_t>(box.source)]);
  DetectionStory story;
  story.detection = place;
  story.shown = box.score >= of.threshold(box.group);
  for (const StageBox& other : stages.classified) story.suppressed += other.killer == row;
  const auto anchor = static_cast<size_t>(proposal.source);
  story.sentence = fmt::format(
      "detection {} ({} {}): an anchor of {} px of the network's input on {} with objectness {} (rank {} of "
      "its level) became proposal {}; the head scored it {} {}, background {}, and moved it (the new box "
      "overlaps the proposal by IoU {}); it suppressed {}",
      place + 1, of.class_name(box.group), of.score(box), extent(stages.anchors[anchor]),
      of.level_of(proposal.source), share(double{kernels::sigmoid(stages.objectness[anchor])}),
      stages.rank[anchor] + 1, proposal.place + 1, of.class_name(box.group), of.score(box),
      share(double{stages.probability(box.source, 0)}), share(overlap(box.seen, proposal.seen)),
      story.suppressed == 1   ? "one other box"
      : story.suppressed == 0 ? "no other box"
                              : fmt::format("{} other boxes", story.suppressed));
  if (!story.shown) {
    const Compared scores = compared(double{box.score}, double{of.threshold(box.group)});
    story.sentence += fmt::format("; {} is below the confidence threshold {}", scores.a, scores.b);
  }
  return story;
}

/// Whether the detection is right, and if not, what kind of error it is.
std::string verdict_of(const Teller& of, int place, const ImageFindings& findings,
                       const std::vector<Detection>& all) {
  const Detection& detection = all[static_cast<size_t>(place)];
  for (const Wrong& wrong : findings.wrong)
    if (wrong.detection == &detection) return fmt::format("false positive: {}", name_of(wrong.kind));
  const NearestObject nearest = nearest_object(detection.box, detection.label, of.objects);
  if (nearest.object < 0 || nearest.overlap < kRightOverlap) return "";
  if (is_ignored(of.objects[static_cast<size_t>(nearest.object)])) return "does not count";
  return fmt::format("IoU {} with object {}", share(nearest.overlap), nearest.object + 1);
}

}  // namespace

std::string share(double value, int digits) {
  const std::string text = fmt::format("{:.{}f}", value, digits);
  return text.starts_with("0.") ? text.substr(1) : text;
}

Compared compared(double a, double b) {
  int digits = 2;
  while (digits < 5 && a != b && share(a, digits) == share(b, digits)) ++digits;
  return {share(a, digits), share(b, digits)};
}

std::string extent(const Box& box) { return fmt::format("{:.0f}x{:.0f}", box.x2 - box.x1, box.y2 - box.y1); }

std::string level_name(const Stages& stages, size_t level) {
  const int steps = static_cast<int>(std::lround(std::log2(std::max(1, stages.levels[level].stride))));
  return fmt::format("{}{}", stages.levels.size() > 1 ? 'P' : 'C', steps);
}

std::vector<Detection> detections_of(const Stages& stages) {
  std::vector<Detection> detections;
  for (const int row : stages.detections) {
    const StageBox& box = stages.classified[static_cast<size_t>(row)];
    detections.push_back({0, box.group, box.score, box.seen});
  }
  return detections;
}

Trace trace_of(const Stages& stages) {
  Trace trace;
  for (const int row : stages.proposals)
    trace.proposals.push_back(stages.proposed[static_cast<size_t>(row)].seen);
  for (const StageBox& box : stages.classified)
    if (box.used()) trace.before_nms.push_back({0, box.group, box.score, box.seen});
  return trace;
}

Biographies tell_biographies(const Stages& stages, const ModelConfig& config,
                             const std::vector<Object>& objects, const std::vector<std::string>& classes,
                             const std::vector<float>& thresholds, bool judged) {
  const Teller of{stages, config, objects, classes, thresholds};
  const std::vector<Detection> all = detections_of(stages);
  Dataset data;
  data.classes = classes;
  data.samples.emplace_back();
  data.samples[0].objects = objects;
  const ImageFindings findings = find_errors(all, {trace_of(stages)}, data, thresholds)[0];
  Biographies told;
  for (int i = 0; i < std::ssize(objects); ++i) told.objects.push_back(tell_object(of, i, findings, all));
  for (int i = 0; i < std::ssize(all); ++i) {
    told.detections.push_back(tell_detection(of, i));
    if (judged) told.detections.back().verdict = verdict_of(of, i, findings, all);
  }
  return told;
}

}  // namespace rcnn
