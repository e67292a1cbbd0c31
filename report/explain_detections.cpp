// The last two chapters of a detection: non-maximum suppression by class, with thresholds to play with, and
// what each detection looked at.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "layers/softmax_cross_entropy.h"
#include "report/explain_parts.h"
#include "report/html.h"

namespace rcnn {
namespace {

constexpr size_t kLooked = 6, kRowsShown = 12, kThresholdsShown = 12;

/// The controls that recompute the last step in the page, and the numbers that they need.
std::string what_if(const Explained& of) {
  nlohmann::ordered_json data = {{"threshold", json_number(of.config().box_nms_thresh)},
                                 {"max", of.config().box_detections_per_img},
                                 {"plus", of.config().whole_pixels ? 1 : 0},
                                 {"names", nlohmann::ordered_json::array()},
                                 {"shown", nlohmann::ordered_json::array()},
                                 {"boxes", nlohmann::ordered_json::array()}};
  for (const std::string& name : of.classes) data["names"].push_back(printable(name));
  for (const float t : of.thresholds) data["shown"].push_back(json_number(t));
  for (const StageBox& box : of.stages.classified)
    if (box.used())
      data["boxes"].push_back({json_number(box.box.x1), json_number(box.box.y1), json_number(box.box.x2),
                               json_number(box.box.y2), json_number(box.score), box.group});
  std::string text = data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), safe;
  for (const char c : text) {
    if (c == '<' || c == '>' || c == '&')
      safe += fmt::format("\\u{:04x}", static_cast<int>(c));
    else
      safe += c;
  }
  const std::vector<int>& found = of.stages.detections;
  double score = found.empty() ? 0.5 : double{*std::min_element(of.thresholds.begin(), of.thresholds.end())};
  score = std::max(score, double{of.config().box_score_thresh});
  Drawing drawing = of.on_photo();
  std::string svg = drawing_svg(drawing, "detections with these thresholds");
  svg.insert(svg.size() - 6, "<g id=\"whatif-boxes\"></g>");
  return fmt::format(
      "<h3>What if? Move the thresholds</h3>\n<div class=\"whatif\"><div "
      "class=\"plate\">{}</div><div>\n<label>confidence at least <output "
      "id=\"whatif-score-text\"></output><input id=\"whatif-score\" type=\"range\" min=\"{:.2f}\" max=\"1\" "
      "step=\"0.01\" value=\"{:.2f}\"/></label>\n<label>suppress above IoU <output "
      "id=\"whatif-iou-text\"></output><input id=\"whatif-iou\" type=\"range\" min=\"0\" max=\"1\" "
      "step=\"0.01\" value=\"{:.2f}\"/></label>\n<label>detections at most <output "
      "id=\"whatif-top-text\"></output><input id=\"whatif-top\" type=\"range\" min=\"1\" max=\"{}\" "
      "step=\"1\" value=\"{}\"/></label>\n<p id=\"whatif-result\"></p>\n<p>Computed in this page from the {} "
      "boxes that the head left. <code>--score</code> is an option of <code>rcnn detect</code>, "
      "<code>explain</code> and <code>eval</code>; <code>--box-nms-thresh</code> and "
      "<code>--box-detections-per-img</code> are settings of <code>rcnn train</code>, which the model "
      "keeps.</p></div></div>\n<script type=\"application/json\" id=\"whatif-data\">{}</script>\n",
      svg, of.config().box_score_thresh, score, of.config().box_nms_thresh,
      of.config().box_detections_per_img, of.config().box_detections_per_img, data["boxes"].size(), safe);
}

/// Where the maps speak for one detection: channels weighted by the gradient of its log-probability.
struct Looked {
  size_t level;
  HostMap heat;  // one channel; 0 where the head does not read
  /// The cells that the head reads: rows [y1, y2), columns [x1, x2).
  int64_t y1 = 0, x1 = 0, y2 = 0, x2 = 0;
};

/// Finds the cells that the head reads: those to which the gradient comes.
void find_region(Looked& looked, const HostMap& gradient) {
  looked.y1 = gradient.h, looked.x1 = gradient.w;
  for (int64_t i = 0; i < gradient.h * gradient.w; ++i) {
    const float* cell = gradient.values.data() + i * gradient.c;
    if (std::all_of(cell, cell + gradient.c, [](float g) { return g == 0; })) continue;
    looked.y1 = std::min(looked.y1, i / gradient.w), looked.y2 = std::max(looked.y2, i / gradient.w + 1);
    looked.x1 = std::min(looked.x1, i % gradient.w), looked.x2 = std::max(looked.x2, i % gradient.w + 1);
  }
  if (looked.y2 == 0) looked.y1 = looked.x1 = 0;
}

/// The region of the heat map over the photograph, of which only this part and a margin are shown, dimmed
/// where the head does not read.
void draw_heat(Drawing& drawing, const Looked& looked, const Box& detection, float most, int stride) {
  if (looked.y2 == 0) return;
  const Box area = cells_place(looked.y1, looked.x1, looked.y2, looked.x2, static_cast<float>(stride));
  drawing.lit = area;
  const Box both{std::min(area.x1, detection.x1), std::min(area.y1, detection.y1),
                 std::max(area.x2, detection.x2), std::max(area.y2, detection.y2)};
  // Pictures of equal proportions stand in a row; a part may lie outside of the photograph.
  const auto width = static_cast<float>(drawing.width), height = static_cast<float>(drawing.height);
  const float scale =
      std::min(1.0f, 1.5f * std::max((both.x2 - both.x1) / width, (both.y2 - both.y1) / height));
  const auto start = [&](float low, float high, float size) {
    return std::clamp((low + high - scale * size) / 2, 0.0f, size - scale * size);
  };
  const float left = start(both.x1, both.x2, width), top = start(both.y1, both.y2, height);
  drawing.view = {left, top, left + scale * width, top + scale * height};
  std::vector<float> inside;
  for (int64_t y = looked.y1; y < looked.y2; ++y)
    for (int64_t x = looked.x1; x < looked.x2; ++x) inside.push_back(looked.heat.at(y, x)[0]);
  drawing.layers.push_back(
      {heat_image(inside, looked.y2 - looked.y1, looked.x2 - looked.x1, 0, most), area, 0.65f, true});
}

Looked look_at(const Explained& of, const StageBox& detection) {
  const bool before = of.ctx.grad, training = of.ctx.training;
  of.ctx.grad = true;
  of.ctx.training = false;
  std::vector<Var> levels;
  for (const Var& level : of.tensors.levels) levels.push_back(Var::parameter(level.value()));
  const Box& box = of.proposed(of.stages.proposals[static_cast<size_t>(detection.source)]).box;
  const Tensor roi = Tensor::of<float>({1, 1, 4}, {box.x1, box.y1, box.x2, box.y2}).to(of.ctx.device);
  const RoiOutput output =
      roi_head_forward(of.ctx, of.model.head, of.config(), levels, roi,
                       Tensor::of<int32_t>({1}, {1}).to(of.ctx.device), of.batch.pixels.shape());
  const Tensor label = Tensor::of<int32_t>({1}, {detection.group}).to(of.ctx.device);
  backward(of.ctx, softmax_cross_entropy(of.ctx, output.logits, label),
           -1);  // of log p, which is minus the loss
  of.ctx.grad = before;
  of.ctx.training = training;

  // Only the level that the region was pooled from has a gradient that is not 0.
  Looked looked{.level = 0, .heat = {}};
  float most = -1;
  HostMap gradient;
  for (size_t l = 0; l < levels.size(); ++l) {
    if (!levels[l].has_gradient()) continue;
    HostMap of_level = host_map(levels[l].gradient());
    float sum = 0;
    for (const float g : of_level.values) sum += std::fabs(g);
    if (sum > most) most = sum, looked.level = l, gradient = std::move(of_level);
  }
  const HostMap map = host_map(levels[looked.level].value());
  std::vector<float> weight(static_cast<size_t>(map.c));
  for (size_t i = 0; i < gradient.values.size(); ++i) weight[i % weight.size()] += gradient.values[i];
  looked.heat = {map.h, map.w, 1, {}};
  find_region(looked, gradient);
  for (int64_t i = 0; i < map.h * map.w; ++i) {
    const int64_t y = i / map.w, x = i % map.w;
    const bool inside = y >= looked.y1 && y < looked.y2 && x >= looked.x1 && x < looked.x2;
    float sum = 0;
    for (size_t c = 0; inside && c < weight.size(); ++c)
      sum += weight[c] * map.values[static_cast<size_t>(i) * weight.size() + c];
    looked.heat.values.push_back(std::max(sum, 0.0f));
  }
  return looked;
}

/// Which thresholds decide what is drawn, if they are those of the classes.
std::string thresholds_text(const Explained& of) {
  if (of.thresholds.empty()) return "";
  const auto [low, high] = std::minmax_element(of.thresholds.begin(), of.thresholds.end());
  if (*low == *high)
    return fmt::format(" The confidence threshold is {}{}.", share(double{*low}),
                       of.thresholds.size() > 1 ? " for every class" : "");
  std::string list;
  size_t listed = 0;
  for (int label = 1; label <= std::ssize(of.thresholds); ++label) {
    const bool found = std::any_of(of.stages.detections.begin(), of.stages.detections.end(),
                                   [&](int row) { return of.classified(row).group == label; });
    if (!found || ++listed > kThresholdsShown) continue;
    list += fmt::format("{}{} {}", list.empty() ? ": " : ", ", escape_html(of.class_name(label)),
                        share(double{of.thresholds[static_cast<size_t>(label - 1)]}));
  }
  return fmt::format(" Each class has a confidence threshold of its own, which the model recommends{}{}.",
                     list, listed > kThresholdsShown ? ", ..." : "");
}

}  // namespace

Chapter explain_detections(const Explained& of) {
  const Stages& stages = of.stages;
  const auto used = std::count_if(stages.classified.begin(), stages.classified.end(),
                                  [](const StageBox& box) { return box.used(); });
  const auto shown = std::count_if(of.told.detections.begin(), of.told.detections.end(),
                                   [](const DetectionStory& story) { return story.shown; });
  Chapter chapter{
      .id = "detections",
      .title = "Non-maximum suppression by class",
      .text = fmt::format(
          "Several regions found the same object. The head makes a box of each proposal for each class, and "
          "drops those with a score of {} or less: {} {}. From the best down, each then removes every "
          "lower-scored box of the same class whose IoU with it is above {}. Of the {} that remain, {} the "
          "confidence threshold and {} drawn.{}",
          share(double{of.config().box_score_thresh}), boxes_text(used), used == 1 ? "remains" : "remain",
          share(double{of.config().box_nms_thresh}), stages.detections.size(),
          shown == 1 ? "1 reaches" : fmt::format("{} reach", shown), shown == 1 ? "is" : "are",
          thresholds_text(of)),
      .shape = fmt::format("({}, 4) detections", stages.detections.size()),
      .source = {"models/roi_head.cpp", "roi_detections"},
      .paper = "Fast R-CNN, section 2; Faster R-CNN, section 3.3"};
  if (used == 0) {
    chapter.text = fmt::format(
        "The head gave no region a class with a score of more than {}, so that there is no box to suppress "
        "and nothing is detected.",
        share(double{of.config().box_score_thresh}));
    return chapter;
  }
  Drawing before = of.on_photo(), after = of.on_photo();
  std::string rows;
  size_t listed = 0;
  for (const StageBox& box : stages.classified) {
    if (!box.used()) continue;
    const int place = box.place >= 0 ? box.place : box.killer >= 0 ? of.classified(box.killer).place : -1;
    const std::string name = of.named(box),
                      with = compared(double{box.killer_overlap}, double{of.config().box_nms_thresh}).a;
    if (box.place < 0)
      before.marks.push_back({.at = box.box,
                              .colour = place >= 0 ? mark_colour(place) : kGrey,
                              .width = 1,
                              .title = place < 0 ? name + ", after the last detection"
                                                 : fmt::format("{}, suppressed by detection {} (IoU {})",
                                                               name, place + 1, with)});
    chapter.numbers["boxes"].push_back({{"box", json_box(box.box)},
                                        {"class", of.class_name(box.group)},
                                        {"score", json_number(box.score)},
                                        {"proposal", box.source + 1},
                                        {"detection", box.place + 1},
                                        {"suppressed_by", box.killer < 0 ? 0 : place + 1},
                                        {"overlap", json_number(box.killer_overlap)}});
    if (box.killer >= 0 && box.score >= of.thresholds[static_cast<size_t>(box.group - 1)] &&
        ++listed <= kRowsShown)
      rows += fmt::format("<tr><td>{}, from proposal {}</td><td>detection {}</td><td>{}</td></tr>\n",
                          escape_html(name), box.source + 1, place + 1, with);
  }
  for (const DetectionStory& story : of.told.detections) {
    const StageBox& box = of.classified(stages.detections[static_cast<size_t>(story.detection)]);
    const std::string name = fmt::format("{}: {}", story.detection + 1, of.named(box));
    const Mark mark{.at = box.box,
                    .colour = mark_colour(story.detection),
                    .width = 3,
                    .dashed = !story.shown,
                    .text = story.shown ? name : "",
                    .title = name};
    before.marks.push_back(mark);
    if (story.shown) after.marks.push_back(mark);
  }
  const bool dashed = shown < std::ssize(stages.detections);
  chapter.plates.push_back(
      {std::move(before),
       fmt::format("All boxes. A thin one has the colour of the detection that suppresses it{}.",
                   dashed ? "; a dashed one remains, but below the confidence threshold" : "")});
  chapter.plates.push_back(
      {std::move(after), shown == 0 ? "No detection reaches the confidence threshold." : "The detections."});
  if (!rows.empty())
    chapter.more = table(
        fmt::format("<th>suppressed although above the confidence threshold{}</th><th>by</th><th>IoU</th>",
                    part_of(std::min(listed, kRowsShown), listed)),
        rows, "", std::min(listed, kRowsShown));
  chapter.more += what_if(of);
  return chapter;
}

Chapter explain_saliency(const Explained& of) {
  Chapter chapter{
      .id = "saliency",
      .title = "What each detection looked at",
      .text =
          "The gradient of one detection's score goes backward to the map that its region was pooled "
          "from. Its mean over the cells weights each channel, and a heat map shows the weighted sum "
          "of the channels where it is above 0 (Grad-CAM): bright cells raised the score, as far as "
          "one weight for each channel can tell. The head reads the map only inside the proposal "
          "(dashed), with the cells that its outermost sampling points touch; the rest did not "
          "contribute and is dimmed. The box of the detection is green. A cell has seen more of the "
          "photograph than its own square (chapter 2), so a bright one need not lie on what it saw.",
      .shape = "a gradient of the shape of the level",
      .source = {"core/autograd.cpp", "backward"},
      .paper = "Grad-CAM (Selvaraju et al., arXiv:1610.02391), section 3"};
  const auto shown = std::count_if(of.told.detections.begin(), of.told.detections.end(),
                                   [](const DetectionStory& story) { return story.shown; });
  for (size_t i = 0; i < of.stages.detections.size() && chapter.plates.size() < kLooked; ++i) {
    if (shown > 0 ? !of.told.detections[i].shown : i > 0) continue;
    const StageBox& box = of.classified(of.stages.detections[i]);
    const Looked looked = look_at(of, box);
    const float most = *std::max_element(looked.heat.values.begin(), looked.heat.values.end());
    const int stride = of.stages.levels[looked.level].stride;
    Drawing drawing = of.on_photo();
    draw_heat(drawing, looked, box.box, most, stride);
    const Box& read = of.proposed(of.stages.proposals[static_cast<size_t>(box.source)]).box;
    drawing.marks.push_back({.at = read, .colour = kYellow, .width = 1.5f, .dashed = true});
    drawing.marks.push_back({.at = box.box, .colour = kGreen, .width = 2.5f});
    chapter.plates.push_back({std::move(drawing),
                              fmt::format("Detection {}, {}: on {}", i + 1, escape_html(of.named(box)),
                                          level_name(of.stages, looked.level)),
                              true});
    const auto peak =
        std::max_element(looked.heat.values.begin(), looked.heat.values.end()) - looked.heat.values.begin();
    chapter.numbers["detections"].push_back({{"detection", i + 1},
                                             {"level", level_name(of.stages, looked.level)},
                                             {"cells_read", {looked.y1, looked.x1, looked.y2, looked.x2}},
                                             {"strongest_cell", {peak / looked.heat.w, peak % looked.heat.w}},
                                             {"strongest", json_number(most)}});
  }
  if (std::ssize(chapter.plates) < shown)
    chapter.text += fmt::format(" Of the {} detections, the best {} are shown.", shown, kLooked);
  if (chapter.plates.empty())
    chapter.text = "There is no detection on this image, so that there is nothing that one looked at.";
  return chapter;
}

}  // namespace rcnn
