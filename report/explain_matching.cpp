// The chapter on matching: which anchors learn which object, which are left alone, and their targets.
#include <fmt/format.h>

#include <algorithm>

#include "report/explain_parts.h"
#include "report/html.h"

namespace rcnn {
namespace {

constexpr size_t kTargetsShown = 8;

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
};

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
      if (nearest >= 0 && with >= config.rpn_bg_iou_thresh) ++matches[static_cast<size_t>(nearest)].ignored;
    }
    if (matching[i] < 0) continue;
    const auto object = static_cast<size_t>(matching[i]);
    const bool promoted = with < config.rpn_fg_iou_thresh;
    ++(promoted ? matches[object].promoted : matches[object].positive);
    const std::string title =
        fmt::format("object {}: IoU {}{}", training.object[object] + 1, share(double{with}),
                    promoted ? ", promoted because no anchor is better" : "");
    positives.marks.push_back({.at = anchor,
                               .colour = mark_colour(static_cast<int>(object)),
                               .width = 1.5f,
                               .dashed = promoted,
                               .title = title});
    if (labels[i] != 1) continue;
    ++matches[object].sampled;
    sample.marks.push_back({.at = anchor, .colour = kGreen, .width = 1.5f, .title = title});
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
    rows += fmt::format(
        "<tr><td>{} ({}, {} px of the "
        "photograph)</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
        training.object[g] + 1, escape_html(of.class_name(object.label)), extent(object.box), best,
        m.positive, m.promoted, m.ignored, m.sampled);
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
          "An anchor is positive if it overlaps an object by an IoU of at least {}, or if no "
          "anchor overlaps that object more "
          "(promoted, dashed); it is background below {}, and ignored in between, because "
          "neither answer would be fair. "
          "Of {} background and {} ignored anchors, and the positive ones, the step samples {}.{}",
          share(double{config.rpn_fg_iou_thresh}), share(double{config.rpn_bg_iou_thresh}), background,
          ignored, sampled_background + static_cast<int64_t>(listed), left_out_text(of)),
      .shape = fmt::format("({},) labels, ({}, 4) targets", matching.size(), matching.size()),
      .source = {"models/rpn.cpp", "rpn_targets"},
      .paper = "Faster R-CNN, section 3.1.2"};
  numbers["background"] = background;
  numbers["ignored"] = ignored;
  numbers["sampled_background"] = sampled_background;
  numbers["sampled_positive"] = listed;
  chapter.numbers = std::move(numbers);
  chapter.plates.push_back(
      {std::move(positives), matches.empty() ? "No anchor is positive, because no object counts."
                                             : "The positive anchors, in a colour for each object (white)."});
  chapter.plates.push_back(
      {std::move(sample),
       fmt::format(
           "The sample: {} positive anchors (green) and the centres of {} background anchors (orange).",
           listed, sampled_background)});
  if (!matches.empty())
    chapter.more = table(
        "<th>object</th><th>best anchor, "
        "IoU</th><th>positive</th><th>promoted</th><th>ignored</th><th>sampled</th>",
        rows, "", matches.size());
  if (!targets.empty())
    chapter.more +=
        table(fmt::format("<th>sampled anchor, px of the network's input{}</th><th>object</th><th>IoU</th>"
                          "<th>target dx, dy, dw, dh</th>",
                          part_of(std::min(listed, kTargetsShown), listed)),
              targets, "", 1);
  return chapter;
}

}  // namespace rcnn
