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

constexpr size_t kLooked = 6, kRowsShown = 12;

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
      "<h3>What if? Move the thresholds</h3>\n<div class=\"whatif\"><div class=\"plate\">{}</div><div>\n"
      "<label>confidence at least <output id=\"whatif-score-text\"></output><input id=\"whatif-score\" "
      "type=\"range\" "
      "min=\"{:.2f}\" max=\"1\" step=\"0.01\" value=\"{:.2f}\"/></label>\n"
      "<label>suppress above IoU <output id=\"whatif-iou-text\"></output><input id=\"whatif-iou\" "
      "type=\"range\" min=\"0\" "
      "max=\"1\" step=\"0.01\" value=\"{:.2f}\"/></label>\n"
      "<label>detections at most <output id=\"whatif-top-text\"></output><input id=\"whatif-top\" "
      "type=\"range\" min=\"1\" "
      "max=\"{}\" step=\"1\" value=\"{}\"/></label>\n<p id=\"whatif-result\"></p>\n"
      "<p>Computed in this page from the {} boxes that the head left, with the rule and the rounding of the "
      "program. The "
      "settings are <code>--score</code>, <code>--box-nms-thresh</code> and "
      "<code>--box-detections-per-img</code>.</p></div></div>\n"
      "<script type=\"application/json\" id=\"whatif-data\">{}</script>\n",
      svg, of.config().box_score_thresh, score, of.config().box_nms_thresh,
      of.config().box_detections_per_img, of.config().box_detections_per_img, data["boxes"].size(), safe);
}

/// Where the maps speak for one detection: channels weighted by the gradient of its log-probability.
struct Looked {
  size_t level;
  HostMap heat;  // one channel
};

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
  Looked looked{0, {}};
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
  for (int64_t i = 0; i < map.h * map.w; ++i) {
    float sum = 0;
    for (size_t c = 0; c < weight.size(); ++c)
      sum += weight[c] * map.values[static_cast<size_t>(i) * weight.size() + c];
    looked.heat.values.push_back(std::max(sum, 0.0f));
  }
  return looked;
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
          "Several regions found the same object. {} boxes have a score of more than {}; within each class "
          "the best suppress those that they overlap by an IoU of more than {}. Of the {} that remain, {} "
          "reach the confidence threshold and are drawn.",
          used, share(double{of.config().box_score_thresh}), share(double{of.config().box_nms_thresh}),
          stages.detections.size(), shown),
      .shape = fmt::format("({}, 4) detections", stages.detections.size()),
      .source = {"models/roi_head.cpp", "roi_detections"},
      .paper = "Fast R-CNN, section 2; Faster R-CNN, section 3.3"};
  Drawing before = of.on_photo(), after = of.on_photo();
  std::string rows;
  size_t listed = 0;
  for (const StageBox& box : stages.classified) {
    if (!box.used()) continue;
    const int place = box.place >= 0 ? box.place : box.killer >= 0 ? of.classified(box.killer).place : -1;
    const std::string name = fmt::format("{} {}", of.class_name(box.group), share(double{box.score}));
    if (box.place < 0)
      before.marks.push_back({.at = box.box,
                              .colour = place >= 0 ? mark_colour(place) : kGrey,
                              .width = 1,
                              .title = place < 0
                                           ? name + ", after the last detection"
                                           : fmt::format("{}, suppressed by detection {} (IoU {})", name,
                                                         place + 1, share(double{box.killer_overlap}))});
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
                          escape_html(name), box.source + 1, place + 1, share(double{box.killer_overlap}));
  }
  for (const DetectionStory& story : of.told.detections) {
    const StageBox& box = of.classified(stages.detections[static_cast<size_t>(story.detection)]);
    const std::string name =
        fmt::format("{}: {} {}", story.detection + 1, of.class_name(box.group), share(double{box.score}));
    const Mark mark{.at = box.box,
                    .colour = mark_colour(story.detection),
                    .width = 3,
                    .dashed = !story.shown,
                    .text = story.shown ? name : "",
                    .title = name};
    before.marks.push_back(mark);
    if (story.shown) after.marks.push_back(mark);
  }
  chapter.plates.push_back({std::move(before),
                            "All boxes. A thin one has the colour of the detection that suppresses it; a "
                            "dashed one remains, but below the confidence threshold."});
  chapter.plates.push_back({std::move(after), "The detections."});
  if (!rows.empty())
    chapter.more = table("<th>suppressed although above the threshold</th><th>by</th><th>IoU</th>", rows, "",
                         std::min(listed, kRowsShown));
  chapter.more += what_if(of);
  return chapter;
}

Chapter explain_saliency(const Explained& of) {
  Chapter chapter{.id = "saliency",
                  .title = "What each detection looked at",
                  .text =
                      "Backward from the score of one detection to the map that its region was pooled from: "
                      "each channel is weighted "
                      "by how much it raises the score (Grad-CAM). Bright places hold what made the network "
                      "say the class, in the box "
                      "and elsewhere.",
                  .shape = "a gradient of the shape of the level",
                  .source = {"core/autograd.cpp", "backward"},
                  .paper = "Grad-CAM (Selvaraju et al., arXiv:1610.02391), section 3"};
  const bool any = std::any_of(of.told.detections.begin(), of.told.detections.end(),
                               [](const DetectionStory& story) { return story.shown; });
  for (size_t i = 0; i < of.stages.detections.size() && chapter.plates.size() < kLooked; ++i) {
    if (any ? !of.told.detections[i].shown : i > 0) continue;
    const StageBox& box = of.classified(of.stages.detections[i]);
    const Looked looked = look_at(of, box);
    const float most = *std::max_element(looked.heat.values.begin(), looked.heat.values.end());
    const int stride = of.stages.levels[looked.level].stride;
    Drawing drawing = of.on_photo();
    drawing.layers.push_back({heat_image(looked.heat.values, looked.heat.h, looked.heat.w, 0, most),
                              Explained::map_area(looked.heat, stride), 0.65f, true});
    drawing.marks.push_back({.at = box.box, .colour = kGreen, .width = 2.5f});
    const std::string name = fmt::format("{} {}", of.class_name(box.group), share(double{box.score}));
    chapter.plates.push_back({std::move(drawing),
                              fmt::format("Detection {}, {}: on {}", i + 1, escape_html(name),
                                          level_name(of.stages, looked.level)),
                              true});
    const auto peak =
        std::max_element(looked.heat.values.begin(), looked.heat.values.end()) - looked.heat.values.begin();
    chapter.numbers["detections"].push_back({{"detection", i + 1},
                                             {"level", level_name(of.stages, looked.level)},
                                             {"strongest_cell", {peak / looked.heat.w, peak % looked.heat.w}},
                                             {"strongest", json_number(most)}});
  }
  return chapter;
}

}  // namespace rcnn
