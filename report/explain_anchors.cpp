// The chapters on anchors: what they are, and how likely each holds an object.
#include <fmt/format.h>

#include <algorithm>

#include "kernels/loss/loss_math.h"
#include "report/explain_parts.h"
#include "report/html.h"

namespace rcnn {
namespace {

constexpr size_t kBestShown = 15;
constexpr int64_t kDotsShown = 1500;  // cells

float probability(const Explained& of, int64_t anchor) {
  return kernels::sigmoid(of.stages.objectness[static_cast<size_t>(anchor)]);
}

/// The largest objectness of the anchors of each cell.
std::vector<float> best_of_cells(const Explained& of, const StageLevel& level) {
  std::vector<float> best;
  for (int64_t cell = 0; cell < level.h * level.w; ++cell) {
    float most = 0;
    for (int64_t a = 0; a < level.per_cell; ++a)
      most = std::max(most, probability(of, level.first + cell * level.per_cell + a));
    best.push_back(most);
  }
  return best;
}

/// The anchors with the highest objectness of all levels.
std::vector<int> best_anchors(const Explained& of, size_t count) {
  std::vector<int> best;
  for (const StageBox& box : of.stages.proposed)
    if (box.source >= 0) best.push_back(box.source);  // the best of each level are among them
  const auto logit = [&](int anchor) { return of.stages.objectness[static_cast<size_t>(anchor)]; };
  std::sort(best.begin(), best.end(),
            [&](int a, int b) { return logit(a) > logit(b) || (logit(a) == logit(b) && a < b); });
  best.resize(std::min(best.size(), count));
  return best;
}

}  // namespace

Chapter explain_anchors(const Explained& of) {
  const Stages& stages = of.stages;
  Chapter chapter{
      .id = "anchors",
      .title = "Anchors: where to look",
      .text = fmt::format(
          "Around every cell of every level stand the same few boxes, the anchors: {} in all on this "
          "image. They do not depend on what the image shows. The network will say of each whether it "
          "holds an object, and how to move it.",
          stages.anchors.size()),
      .shape = fmt::format("({}, 4)", stages.anchors.size()),
      .source = {"layers/boxes.cpp", "make_anchors"},
      .paper = "Faster R-CNN, section 3.1.1"};
  const Box followed = stages.anchors[static_cast<size_t>(of.followed.anchor)];
  const float cx = (followed.x1 + followed.x2) / 2, cy = (followed.y1 + followed.y2) / 2;
  Drawing own = of.on_photo(), all = of.on_photo();
  std::string rows;
  for (size_t l = 0; l < stages.levels.size(); ++l) {
    const StageLevel& level = stages.levels[l];
    const int64_t cell = cell_at(cy, level.stride, level.h) * level.w + cell_at(cx, level.stride, level.w);
    const int64_t first = level.first + cell * level.per_cell;
    std::string sizes;
    for (int64_t a = 0; a < level.per_cell; ++a) {
      const Box& box = stages.anchors[static_cast<size_t>(first + a)];
      sizes += (a > 0 ? ", " : "") + extent(box);
      const std::string title = fmt::format("{}: {}", level_name(stages, l), extent(box));
      all.marks.push_back({.at = box,
                           .colour = mark_colour(static_cast<int>(l)),
                           .width = 1.5f,
                           .text = a == 0 ? level_name(stages, l) : "",
                           .title = title});
      if (l == of.followed.level)
        own.marks.push_back({.at = box,
                             .colour = mark_colour(static_cast<int>(a)),
                             .width = 2,
                             .text = extent(box),
                             .title = title});
      chapter.numbers["anchors_of_a_cell"].push_back(
          {{"level", level_name(stages, l)}, {"anchor", first + a}, {"box", json_box(box)}});
    }
    rows += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{}&#160;x&#160;{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
        level_name(stages, l), level.stride, level.h, level.w, level.per_cell, level.count(), sizes);
    chapter.numbers["levels"].push_back({{"name", level_name(stages, l)},
                                         {"stride", level.stride},
                                         {"cells", {level.h, level.w}},
                                         {"anchors_per_cell", level.per_cell},
                                         {"anchors", level.count()}});
  }
  // The grid of the level on which the followed anchor stands.
  const StageLevel& level = stages.levels[of.followed.level];
  const float beside = cx - static_cast<float>(of.followed.x * level.stride);
  const bool dots = level.h * level.w <= kDotsShown;
  for (int64_t y = 0; y < level.h && dots; ++y)
    for (int64_t x = 0; x < level.w; ++x)
      own.marks.insert(
          own.marks.begin(),
          {.kind = Mark::Kind::dot,
           .at = {static_cast<float>(x * level.stride), static_cast<float>(y * level.stride), 0, 0},
           .colour = kWhite,
           .width = std::clamp(0.2f * static_cast<float>(level.stride), 1.8f, 3.2f)});
  chapter.plates.push_back(
      {std::move(own),
       fmt::format(
           "The {} anchors of one cell of {}.{}", level.per_cell, level_name(stages, of.followed.level),
           dots ? fmt::format(" Every white dot is the point of a cell of that level, {} its anchors are "
                              "centred.",
                              beside == 0 ? "on which" : fmt::format("{:g} pixels beside which", beside))
                : "")});
  chapter.plates.push_back(
      {std::move(all),
       fmt::format("The anchors of all levels at about the same place: {}.", level_key(stages))});
  chapter.more = table(
      "<th>level</th><th>pixels of the input per cell</th><th>cells</th><th>anchors per "
      "cell</th><th>anchors</th>"
      "<th>width x height, px of the input</th>",
      rows, "", stages.levels.size());
  return chapter;
}

Chapter explain_objectness(const Explained& of) {
  const Stages& stages = of.stages;
  Chapter chapter{
      .id = "objectness",
      .title = "Objectness: is anything there?",
      .text = fmt::format(
          "A small network, the same for every cell, gives each anchor a score: does it hold an "
          "object, of whatever class? A heat map shows the highest score of the anchors of each "
          "cell, from 0 (black) to 1 (yellow). The network was trained to say yes where an anchor "
          "overlaps an object by an IoU of at least {}, on every level that has such anchors; the "
          "sizes of each level are in chapter 3.",
          share(double{of.config().rpn_fg_iou_thresh})),
      .shape = "",
      .source = {"models/rpn.cpp", "rpn_forward"},
      .paper = "Faster R-CNN, section 3.1"};
  for (size_t l = 0; l < stages.levels.size(); ++l) {
    const StageLevel& level = stages.levels[l];
    const std::string name = level_name(stages, l);
    const std::vector<float> best = best_of_cells(of, level);
    const auto strongest = static_cast<size_t>(std::max_element(best.begin(), best.end()) - best.begin());
    chapter.shape +=
        fmt::format("{}{} (1, {}, {}, {})", l > 0 ? ", " : "", name, level.h, level.w, level.per_cell);
    Drawing drawing = of.on_photo();
    drawing.layers.push_back(
        {heat_image(best, level.h, level.w, 0, 1), map_place(level.h, level.w, level.stride), 0.72f});
    chapter.plates.push_back({std::move(drawing),
                              fmt::format("<b>{}</b>: highest {}", name, share(double{best[strongest]})),
                              true});
    chapter.numbers["levels"].push_back({{"name", name},
                                         {"highest", json_number(best[strongest])},
                                         {"row", strongest / static_cast<size_t>(level.w)},
                                         {"column", strongest % static_cast<size_t>(level.w)}});
  }
  Drawing drawing = of.on_photo();
  int rank = 0;
  for (const int anchor : best_anchors(of, kBestShown)) {
    const std::string text = fmt::format("{} on {}", share(double{probability(of, anchor)}),
                                         level_name(stages, stages.level_of(anchor)));
    drawing.marks.push_back({.at = stages.anchors[static_cast<size_t>(anchor)],
                             .colour = mark_colour(static_cast<int>(stages.level_of(anchor))),
                             .width = 2,
                             .text = rank < 3 ? text : "",
                             .title = text});
    ++rank;
    chapter.numbers["best"].push_back({{"anchor", anchor},
                                       {"level", level_name(stages, stages.level_of(anchor))},
                                       {"box", json_box(stages.anchors[static_cast<size_t>(anchor)])},
                                       {"logit", json_number(stages.objectness[static_cast<size_t>(anchor)])},
                                       {"objectness", json_number(probability(of, anchor))}});
  }
  chapter.plates.push_back(
      {std::move(drawing), fmt::format("The {} anchors with the highest objectness, still where they were "
                                       "put; the colour is that of the level: {}.",
                                       rank, level_key(stages))});
  return chapter;
}

}  // namespace rcnn
