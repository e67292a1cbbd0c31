// The chapter on matching: which anchors learn which object, which are left alone, and their targets.
#include <fmt/format.h>

#include <algorithm>

#include "report/explain_parts.h"
#include "report/html.h"

namespace rcnn {
namespace {

constexpr size_t kTargetsShown = 8, kIgnoredDrawn = 12;

template <class T>
std::vector<T> on_host(const Tensor& tensor) {
  const Tensor here = tensor.to(Device{});
  return {here.data<T>(), here.data<T>() + here.numel()};
}

/// How the anchors were matched with one object.
struct Matches {
  int64_t positive = 0, promoted = 0, ignored = 0, sampled = 0;
  int best = -1;  // the anchor that overlaps it most
  float best_overlap = 0;
  std::vector<std::pair<float, int>> left_alone;  // the ignored anchors, with their overlaps
};

/// The IoU of an ignored anchor, with so many digits that it is seen to lie between the thresholds.
std::string ignored_text(const ModelConfig& config, float with) {
  const std::string low = compared(double{with}, double{config.rpn_bg_iou_thresh}).a,
                    high = compared(double{with}, double{config.rpn_fg_iou_thresh}).a;
  return low.size() > high.size() ? low : high;
}

/// The ignored anchors of one object: that of the followed detection, else the first that has some. Also a
/// row for each object with the one that overlaps it most.
void show_ignored(const Explained& of, const TrainingTrace& training, std::vector<Matches>& matches,
                  Chapter& chapter) {
  int followed = -1;
  for (const ObjectStory& story : of.told.objects)
    if (story.detection >= 0 && story.detection == of.followed.detection) followed = story.object;
  std::string rows;
  size_t drawn = matches.size();
  for (size_t g = 0; g < matches.size(); ++g) {
    std::vector<std::pair<float, int>>& ignored = matches[g].left_alone;
    if (ignored.empty()) continue;
    std::stable_sort(ignored.begin(), ignored.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    if (drawn == matches.size() || training.object[g] == followed) drawn = g;
    const auto [with, anchor] = ignored.front();
    rows +=
        fmt::format("<tr><td>{}</td><td>{}</td><td>anchor {} ({} on {})</td></tr>\n",
                    object_cell(of, static_cast<size_t>(training.object[g])), ignored_text(of.config(), with),
                    anchor, extent(of.stages.anchors[static_cast<size_t>(anchor)]),
                    level_name(of.stages, of.stages.level_of(anchor)));
    nlohmann::ordered_json& numbers = chapter.numbers["objects"][g]["ignored_best"];
    numbers = {{"anchor", anchor}, {"overlap", json_number(with)}};
  }
  if (drawn == matches.size()) return;
  const auto& ignored = matches[drawn].left_alone;
  Drawing drawing = of.on_photo();
  for (size_t i = std::min(kIgnoredDrawn, ignored.size()); i-- > 0;)
    drawing.marks.push_back({.at = of.stages.anchors[static_cast<size_t>(ignored[i].second)],
                             .colour = kOrange,
                             .width = i == 0 ? 2.5f : 1.0f,
                             .opacity = i == 0 ? 1.0f : 0.45f,
                             .text = i == 0 ? "IoU " + ignored_text(of.config(), ignored[i].first) : "",
                             .title = fmt::format("anchor {}: IoU {}", ignored[i].second,
                                                  ignored_text(of.config(), ignored[i].first))});
  const auto object = static_cast<size_t>(training.object[drawn]);
  drawing.marks.push_back({.at = of.to_image.size.to_input((*of.objects)[object].box),
                           .colour = kWhite,
                           .width = 3,
                           .text = fmt::format("object {}", object + 1)});
  chapter.plates.push_back(
      {std::move(drawing),
       fmt::format(
           "Ignored: of the {} anchors that overlap object {} by {} or more, but by less than {}, {}. "
           "The strong one has the largest IoU. The part of an anchor outside of the picture counts too.",
           ignored.size(), object + 1, share(double{of.config().rpn_bg_iou_thresh}),
           share(double{of.config().rpn_fg_iou_thresh}),
           ignored.size() > kIgnoredDrawn ? fmt::format("the {} with the largest IoU", kIgnoredDrawn)
                                          : "all")});
  chapter.more +=
      table(fmt::format(
                "<th>object, px of the photograph</th><th>largest IoU of an ignored anchor: at least {}, but "
                "less than {}</th><th>which</th>",
                share(double{of.config().rpn_bg_iou_thresh}), share(double{of.config().rpn_fg_iou_thresh})),
            rows, "", 1);
}

}  // namespace

Chapter explain_matching(const Explained& of, const TrainingTrace& training) {
  const ModelConfig& config = of.config();
  const auto matching = on_host<int32_t>(training.stages.matching),
             labels = on_host<int32_t>(training.samples.rpn.labels);
  const auto deltas = on_host<float>(training.samples.rpn.deltas);
  std::vector<Matches> matches(training.object.size());
  int64_t background = 0, ignored = 0, sampled_background = 0;
  std::string targets;
  size_t listed = 0;
  bool any_promoted = false;
  Drawing positives = of.on_photo(), sample = of.on_photo();
  nlohmann::ordered_json numbers;
  for (size_t i = 0; i < matching.size(); ++i) {
    const Box& anchor = of.stages.anchors[i];
    const auto [nearest, with] = best_truth(of, training, anchor);
    if (nearest >= 0 && with > matches[static_cast<size_t>(nearest)].best_overlap)
      matches[static_cast<size_t>(nearest)].best = static_cast<int>(i),
      matches[static_cast<size_t>(nearest)].best_overlap = with;
    if (labels[i] == 0) {
      ++sampled_background;
      sample.marks.push_back(
          {.kind = Mark::Kind::dot,
           .at = {(anchor.x1 + anchor.x2) / 2, (anchor.y1 + anchor.y2) / 2, 0, 0},
           .colour = kOrange,
           .width = 3,
           .title = fmt::format("background: {} on {}", extent(anchor),
                                level_name(of.stages, of.stages.level_of(static_cast<int64_t>(i))))});
    }
    if (matching[i] == -1) ++background;
    if (matching[i] == -2) {
      ++ignored;
      if (nearest >= 0 && with >= config.rpn_bg_iou_thresh) {
        Matches& of_object = matches[static_cast<size_t>(nearest)];
        ++of_object.ignored;
        if (with < config.rpn_fg_iou_thresh)  // else it was left out because it crosses the border
          of_object.left_alone.emplace_back(with, static_cast<int>(i));
      }
    }
    if (matching[i] < 0) continue;
    const auto object = static_cast<size_t>(matching[i]);
    const bool promoted = with < config.rpn_fg_iou_thresh;
    ++(promoted ? matches[object].promoted : matches[object].positive);
    const std::string title =
        fmt::format("object {}: IoU {}{}", training.object[object] + 1, share(double{with}),
                    promoted ? ", promoted because no anchor is better" : "");
    any_promoted = any_promoted || promoted;
    positives.marks.push_back({.at = anchor,
                               .colour = mark_colour(static_cast<int>(object)),
                               .width = promoted ? 1.5f : 1.0f,
                               .dashed = promoted,
                               .opacity = promoted ? 1.0f : 0.7f,
                               .title = title});
    if (labels[i] != 1) continue;
    ++matches[object].sampled;
    sample.marks.push_back({.at = anchor, .colour = kGreen, .width = 1, .opacity = 0.7f, .title = title});
    const float* d = deltas.data() + i * 4;
    const std::string level = level_name(of.stages, of.stages.level_of(static_cast<int64_t>(i)));
    numbers["targets"].push_back(
        {{"anchor", i},
         {"object", training.object[object] + 1},
         {"overlap", json_number(with)},
         {"deltas", {json_number(d[0]), json_number(d[1]), json_number(d[2]), json_number(d[3])}}});
    if (listed++ < kTargetsShown)
      targets += fmt::format(
          "<tr><td>anchor {} ({} on {})</td><td>{}</td><td>{}</td><td>{:+.3f}, {:+.3f}, {:+.3f}, "
          "{:+.3f}</td></tr>\n",
          i, extent(anchor), level, training.object[object] + 1, share(double{with}), d[0], d[1], d[2], d[3]);
  }
  std::string rows;
  for (size_t g = 0; g < matches.size(); ++g) {
    const Matches& m = matches[g];
    const Object& object = (*of.objects)[static_cast<size_t>(training.object[g])];
    const std::string best = m.best < 0 ? "–"
                                        : fmt::format("{} on {}", share(double{m.best_overlap}),
                                                      level_name(of.stages, of.stages.level_of(m.best)));
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                        object_cell(of, static_cast<size_t>(training.object[g])), best, m.positive,
                        m.promoted, m.ignored, m.sampled);
    if (m.best >= 0)  // the best anchor of each object is seen among the others
      positives.marks.push_back(
          {.at = of.stages.anchors[static_cast<size_t>(m.best)],
           .colour = mark_colour(static_cast<int>(g)),
           .width = 2.5f,
           .dashed = m.best_overlap < config.rpn_fg_iou_thresh,
           .text = share(double{m.best_overlap}),
           .title = fmt::format("object {}: IoU {}", training.object[g] + 1, share(double{m.best_overlap}))});
    numbers["objects"].push_back({{"object", training.object[g] + 1},
                                  {"best_overlap", json_number(m.best_overlap)},
                                  {"positive", m.positive},
                                  {"promoted", m.promoted},
                                  {"ignored", m.ignored},
                                  {"sampled", m.sampled}});
    for (Drawing* drawing : {&positives, &sample})
      drawing->marks.push_back({.at = of.to_image.size.to_input(object.box),
                                .colour = kWhite,
                                .width = 3,
                                .text = fmt::format("object {}", training.object[g] + 1)});
  }
  Chapter chapter{
      .id = "matching",
      .title = "In training: who learns what",
      .text = fmt::format(
          "An anchor is positive if it overlaps an object by an IoU of at least {0}, or if it is the best "
          "anchor of an object that no anchor overlaps so much (promoted{1}). Below {2} it is background. "
          "From {2} to {0} it is ignored: that is too much overlap to be called background, and too little "
          "to "
          "be called the object. Of {3} background and {4} ignored anchors, and the positive ones, the step "
          "samples {5}.{6}",
          share(double{config.rpn_fg_iou_thresh}), any_promoted ? ", dashed" : "",
          share(double{config.rpn_bg_iou_thresh}), background, ignored,
          sampled_background + static_cast<int64_t>(listed), left_out_text(of)),
      .shape = fmt::format("({},) labels, ({}, 4) targets", matching.size(), matching.size()),
      .source = {"models/rpn.cpp", "rpn_targets"},
      .paper = "Faster R-CNN, section 3.1.2"};
  numbers["background"] = background;
  numbers["ignored"] = ignored;
  numbers["sampled_background"] = sampled_background;
  numbers["sampled_positive"] = listed;
  chapter.numbers = std::move(numbers);
  chapter.plates.push_back(
      {std::move(positives), matches.empty()
                                 ? "No anchor is positive, because no object counts."
                                 : "The positive anchors, in a colour for each object (white); the "
                                   "strong one, with its IoU, is the object's best."});
  chapter.plates.push_back(
      {std::move(sample),
       fmt::format(
           "The sample: {} positive anchors (green) and the centres of {} background anchors (orange). The "
           "centre may lie on an object: what counts is the IoU of the whole anchor, "
           "also of what lies outside of the picture.",
           listed, sampled_background)});
  if (!matches.empty())
    chapter.more = table(
        "<th>object, px of the photograph</th><th>best anchor, "
        "IoU</th><th>positive</th><th>promoted</th><th>ignored</th><th>sampled</th>",
        rows, "", matches.size());
  show_ignored(of, training, matches, chapter);
  if (!targets.empty())
    chapter.more +=
        table(fmt::format("<th>sampled anchor, px of the network's input{}</th><th>object</th><th>IoU</th>"
                          "<th>target dx, dy, dw, dh</th>",
                          part_of(std::min(listed, kTargetsShown), listed)),
              targets, "", 1);
  return chapter;
}

}  // namespace rcnn
