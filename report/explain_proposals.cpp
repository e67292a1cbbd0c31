// The chapters on proposals: anchors moved by their deltas, and non-maximum suppression among them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "eval/matching.h"
#include "kernels/boxes/box_math.h"
#include "kernels/loss/loss_math.h"
#include "report/explain_parts.h"
#include "report/html.h"

namespace rcnn {
namespace {

constexpr size_t kArrows = 12, kKept = 25, kVictims = 10, kCrowd = 150;
constexpr int kNumbered = 12;

std::string row(const std::string& name, const std::string& formula, float result) {
  return fmt::format("<tr><td>{}</td><td>{}</td><td>{:.2f}</td></tr>\n", name, formula, result);
}

/// The steps of `decode` (kernels/boxes/box_math.h) with the numbers of one box, and its result.
std::string worked_decode(const Explained& of, const Box& from, const float* d, const Box& expected,
                          nlohmann::ordered_json& numbers) {
  const BoxCoder coder = anchor_coder(of.config());
  const float plus_one = of.plus_one();
  const Box spanned = kernels::spanned(from, plus_one);
  const float limit = coder.limit_log_scale ? static_cast<float>(kernels::kMaxLogScale) : INFINITY;
  const Box moved = kernels::decode(spanned, d, coder.weights.data(), limit);
  const ResizedImage& size = of.to_image.size;
  const Box inside =
      kernels::clip(moved, static_cast<float>(size.height), static_cast<float>(size.width), plus_one);
  check(inside == expected, "the box of an anchor by hand is {}, the network's is {}", box_text(inside),
        box_text(expected));
  const float w = spanned.x2 - spanned.x1, h = spanned.y2 - spanned.y1;
  const float cx = spanned.x1 + w / 2, cy = spanned.y1 + h / 2;
  numbers = {{"anchor", json_box(from)},
             {"deltas", {json_number(d[0]), json_number(d[1]), json_number(d[2]), json_number(d[3])}},
             {"moved", json_box(moved)},
             {"clipped", json_box(inside)},
             {"box", json_box(expected)}};
  return table(
      "<th>step</th><th>by hand</th><th>result</th>",
      row("centre x", fmt::format("{} + ({:+.7f}) x {}", cx, d[0], w), (moved.x1 + moved.x2) / 2) +
          row("centre y", fmt::format("{} + ({:+.7f}) x {}", cy, d[1], h), (moved.y1 + moved.y2) / 2) +
          row("width", fmt::format("{} x exp({:+.7f})", w, d[2]), moved.x2 - moved.x1) +
          row("height", fmt::format("{} x exp({:+.7f})", h, d[3]), moved.y2 - moved.y1) +
          fmt::format(
              "<tr><td>corners</td><td>{}</td><td></td></tr>\n<tr><td>clipped to the image</td><td>{}</td>"
              "<td>= the network's</td></tr>\n",
              box_text(moved), box_text(inside)),
      "", 6);
}

/// The kept proposal that suppressed most boxes, or the followed one if it suppressed any.
int chain_head(const Explained& of) {
  std::vector<int> victims(of.stages.proposed.size());
  for (const StageBox& box : of.stages.proposed)
    if (box.killer >= 0) ++victims[static_cast<size_t>(box.killer)];
  if (victims[static_cast<size_t>(of.followed.proposed)] > 0) return of.followed.proposed;
  return static_cast<int>(std::max_element(victims.begin(), victims.end()) - victims.begin());
}

/// The IoU of a suppressed box with its killer, with so many digits that it is seen to be above the
/// threshold.
std::string iou_text(const Explained& of, const StageBox& suppressed) {
  return compared(double{suppressed.killer_overlap}, double{of.config().rpn_nms_thresh}).a;
}

/// Shows the part of the photograph that the boxes cover, with a margin.
void set_view(Drawing& drawing) {
  Box all = drawing.marks.front().at;
  for (const Mark& mark : drawing.marks)
    all = {std::min(all.x1, mark.at.x1), std::min(all.y1, mark.at.y1), std::max(all.x2, mark.at.x2),
           std::max(all.y2, mark.at.y2)};
  drawing.view = view_around(drawing, all, 0.12f);
}

/// Where each of the boxes that reached NMS went, in a sentence.
std::string counts_text(const Explained& of, nlohmann::ordered_json& numbers) {
  const auto [taken, left_out, killed, cut, kept] = count_nms(of.stages);
  numbers["counts"] = {
      {"taken", taken}, {"left_out", left_out}, {"suppressed", killed}, {"cut", cut}, {"kept", kept}};
  std::string text = fmt::format("Of {} that are among the best of their levels, ", boxes_text(taken));
  if (left_out > 0)
    text += fmt::format("{} left out because of size or objectness, ",
                        left_out == 1 ? "1 is" : fmt::format("{} are", left_out));
  text += fmt::format("{} {} suppressed, ", killed, killed == 1 ? "is" : "are");
  if (cut > 0)
    text += fmt::format("{} {} cut because at most {} go on, ", cut, cut == 1 ? "is" : "are",
                        of.config().rpn_post_nms_top_n_test);
  return text + fmt::format("and {} {} as proposals.", kept, kept == 1 ? "goes on" : "go on");
}

/// How many of the proposals lie on each object.
std::string proposals_of_objects(const Explained& of, nlohmann::ordered_json& numbers) {
  if (of.objects == nullptr || of.objects->empty()) return "";
  std::string rows;
  for (size_t i = 0; i < of.objects->size(); ++i) {
    const Object& object = (*of.objects)[i];
    int64_t count = 0;
    double most = 0;
    for (const int row : of.stages.proposals) {
      const double with = overlap(of.proposed(row).seen, object.box);
      count += with >= kOnObject;
      most = std::max(most, with);
    }
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n", object_cell(of, i), count,
                        compared(most, kOnObject).a);
    numbers["objects"].push_back({{"object", i + 1}, {"proposals", count}, {"best_overlap", most}});
  }
  return table(
      "<th>object, px of the photograph</th><th>proposals with an IoU of .50 or more</th><th>IoU of the "
      "best</th>",
      rows, "", of.objects->size());
}

}  // namespace

NmsCounts count_nms(const Stages& stages) {
  NmsCounts counts;
  int64_t used = 0;
  for (const StageBox& box : stages.proposed) {
    counts.taken += box.source >= 0;
    used += box.used();
    counts.suppressed += box.killer >= 0;
  }
  counts.left_out = counts.taken - used;
  counts.kept = std::ssize(stages.proposals);
  counts.cut = used - counts.suppressed - counts.kept;
  return counts;
}

Chapter explain_deltas(const Explained& of) {
  const Stages& stages = of.stages;
  Chapter chapter{
      .id = "deltas",
      .title = "From anchors to proposals",
      .text =
          "For each anchor the network also predicts four numbers, the deltas: how far to move its centre, "
          "in widths and heights of the anchor, and the logarithms of how much to scale them. The arrows "
          "show where the best anchors (dashed) are moved; the table works through the box that this page "
          "follows.",
      .shape = fmt::format("({}, 4) deltas, of which the best {} of each level go on", stages.anchors.size(),
                           of.config().rpn_pre_nms_top_n_test),
      .source = {"kernels/boxes/box_math.h", "decode"},
      .paper = "Faster R-CNN, section 3.1.2, equation 2"};
  if (of.followed.proposed < 0) return chapter;
  Drawing best = of.on_photo(), one = of.on_photo();
  for (size_t i = 0; i < std::min(kArrows, stages.proposals.size()); ++i) {
    const StageBox& box = of.proposed(stages.proposals[i]);
    const Box& anchor = stages.anchors[static_cast<size_t>(box.source)];
    const Colour colour = mark_colour(static_cast<int>(i));
    best.marks.push_back({.at = anchor, .colour = colour, .width = 1, .dashed = true});
    best.marks.push_back({.at = box.box,
                          .colour = colour,
                          .width = 2,
                          .text = fmt::format("{}", i + 1),
                          .title = fmt::format("proposal {}", i + 1)});
    best.marks.push_back(
        {.kind = Mark::Kind::arrow, .at = centre_arrow(anchor, box.box), .colour = colour, .width = 2});
  }
  chapter.plates.push_back(
      {std::move(best), fmt::format("The best {} proposals, each with its anchor (dashed) and the "
                                    "way that its centre moved.",
                                    std::min(kArrows, stages.proposals.size()))});
  const StageBox& box = of.proposed(of.followed.proposed);
  const Box& anchor = stages.anchors[static_cast<size_t>(box.source)];
  one.marks = {
      {.at = anchor, .colour = kYellow, .width = 2, .dashed = true, .text = "anchor"},
      {.at = box.box, .colour = kGreen, .width = 3, .text = "proposal"},
      {.kind = Mark::Kind::arrow, .at = centre_arrow(anchor, box.box), .colour = kGreen, .width = 3}};
  chapter.plates.push_back(
      {std::move(one),
       fmt::format("The box that is followed: anchor {} on {}, in the cell of row {}, column {}, with "
                   "objectness {}.",
                   box.source, level_name(stages, of.followed.level), of.followed.y, of.followed.x,
                   share(double{kernels::sigmoid(box.score)}))});
  chapter.more = worked_decode(of, anchor, stages.deltas.data() + static_cast<ptrdiff_t>(box.source) * 4,
                               box.box, chapter.numbers["followed"]);
  for (size_t i = 0; i < std::min(kArrows, stages.proposals.size()); ++i) {
    const StageBox& proposal = of.proposed(stages.proposals[i]);
    chapter.numbers["best"].push_back({{"proposal", i + 1},
                                       {"anchor", proposal.source},
                                       {"logit", json_number(proposal.score)},
                                       {"box", json_box(proposal.box)}});
  }
  return chapter;
}

Chapter explain_rpn_nms(const Explained& of) {
  const Stages& stages = of.stages;
  nlohmann::ordered_json chapter_numbers;
  Chapter chapter{
      .id = "nms",
      .title = "Non-maximum suppression of proposals",
      .text = fmt::format(
          "Many anchors were moved onto the same object. From the best box down, each removes every "
          "lower-scored box of the same level whose IoU with it is above {}. {}",
          share(double{of.config().rpn_nms_thresh}), counts_text(of, chapter_numbers)),
      .shape = fmt::format("({}, 4) proposals", stages.proposals.size()),
      .source = {"models/rpn.cpp", "rpn_proposals"},
      .paper = "Faster R-CNN, section 3.3"};
  chapter.numbers = std::move(chapter_numbers);
  if (of.followed.proposed < 0) return chapter;
  Drawing before = of.on_photo(), after = of.on_photo(), chain = of.on_photo();
  // The colour of a box is that of the proposal that suppressed it.
  std::vector<int> order;
  for (int i = 0; i < std::ssize(stages.proposed); ++i)
    if (of.proposed(i).used()) order.push_back(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return of.proposed(a).score > of.proposed(b).score; });
  order.resize(std::min(order.size(), kCrowd));
  std::reverse(order.begin(), order.end());  // the best are drawn last
  for (const int i : order) {
    const StageBox& box = of.proposed(i);
    const int place = box.place >= 0 ? box.place : box.killer >= 0 ? of.proposed(box.killer).place : 0;
    before.marks.push_back({.at = box.box,
                            .colour = mark_colour(place),
                            .width = box.place >= 0 ? 3.0f : 1.0f,
                            .opacity = box.place >= 0 ? 1.0f : 0.35f,
                            .text = box.place >= 0 && place < kNumbered ? fmt::format("{}", place + 1) : "",
                            .title = box.place >= 0 ? fmt::format("proposal {}", place + 1)
                                                    : fmt::format("suppressed by proposal {} (IoU {})",
                                                                  place + 1, iou_text(of, box))});
  }
  for (size_t i = std::min(kKept, stages.proposals.size()); i-- > 0;)
    after.marks.push_back({.at = of.proposed(stages.proposals[i]).box,
                           .colour = mark_colour(static_cast<int>(i)),
                           .width = 2,
                           .text = fmt::format("{}", i + 1),
                           .title = fmt::format("proposal {}", i + 1)});
  chapter.plates.push_back(
      {std::move(before),
       fmt::format("Before: the {} best boxes. The strong ones are kept; the best have the number of "
                   "the proposal; a thin one has the colour of the proposal that suppresses "
                   "it.",
                   order.size())});
  chapter.plates.push_back(
      {std::move(after), fmt::format("After: the best {} of {} proposals.",
                                     std::min(kKept, stages.proposals.size()), stages.proposals.size())});
  const int head = chain_head(of);
  const StageBox& keeper = of.proposed(head);
  std::vector<const StageBox*> victims;
  for (const StageBox& box : stages.proposed)
    if (box.killer == head) victims.push_back(&box);
  std::stable_sort(victims.begin(), victims.end(),
                   [](const StageBox* a, const StageBox* b) { return a->score > b->score; });
  std::string rows;
  for (size_t i = 0; i < std::min(kVictims, victims.size()); ++i) {
    const StageBox& box = *victims[i];
    const std::string with = iou_text(of, box);
    chain.marks.push_back(
        {.at = box.box, .colour = kOrange, .width = 1.5f, .text = with, .title = "IoU " + with});
    rows += fmt::format("<tr><td>anchor {}</td><td>{:.3f}</td><td>{}</td><td>{}</td></tr>\n", box.source,
                        box.score, share(double{kernels::sigmoid(box.score)}), with);
  }
  for (const StageBox& box : stages.proposed)
    if (box.killer >= 0)
      chapter.numbers["suppressed"].push_back({{"anchor", box.source},
                                               {"logit", json_number(box.score)},
                                               {"box", json_box(box.box)},
                                               {"suppressed_by", of.proposed(box.killer).place + 1},
                                               {"overlap", json_number(box.killer_overlap)}});
  // The kept box is on top, but its name is written first.
  const Mark kept{
      .at = keeper.box, .colour = kGreen, .width = 3, .text = fmt::format("proposal {}", keeper.place + 1)};
  chain.marks.insert(chain.marks.begin(), kept);
  chain.marks.push_back({.at = keeper.box, .colour = kGreen, .width = 3});
  chapter.numbers["kept_by"] = {
      {"proposal", keeper.place + 1}, {"box", json_box(keeper.box)}, {"suppressed", victims.size()}};
  for (const int i : stages.proposals)
    chapter.numbers["proposals"].push_back(
        {{"box", json_box(of.proposed(i).box)}, {"logit", json_number(of.proposed(i).score)}});
  set_view(chain);
  std::string which;
  if (!victims.empty())
    which = fmt::format(": {} orange, with the IoU, and in the table",
                        victims.size() > kVictims ? fmt::format("the best {} are", kVictims)
                        : victims.size() > 1      ? "they are"
                                                  : "it is");
  chapter.plates.push_back(
      {std::move(chain),
       fmt::format("One chain, closer: proposal {} (green, objectness {}) suppresses {} of {}{}.",
                   keeper.place + 1, share(double{kernels::sigmoid(keeper.score)}),
                   boxes_text(std::ssize(victims)), level_name(stages, stages.level_of(keeper.source)),
                   which)});
  if (!rows.empty())
    chapter.more =
        table(fmt::format(
                  "<th>suppressed box{}</th><th>logit</th><th>objectness</th><th>IoU with the proposal</th>",
                  part_of(std::min(kVictims, victims.size()), victims.size())),
              rows, "", 1);
  chapter.more += proposals_of_objects(of, chapter.numbers);
  return chapter;
}

}  // namespace rcnn
