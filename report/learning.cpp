#include "report/learning.h"

#include <fmt/format.h>

#include <algorithm>

#include "eval/biography.h"
#include "eval/matching.h"
#include "eval/stages.h"
#include "kernels/loss/loss_math.h"
#include "models/detector.h"
#include "report/explain_drawing.h"
#include "report/html.h"

namespace rcnn {

const std::string_view kLearningScript = R"js(
'use strict';
var frames = Array.from(document.querySelectorAll('.frame')), now = frames.length - 1, timer = 0;
function element(id) { return document.getElementById(id); }
function show(i) {
  frames[now].hidden = true;
  now = Math.min(Math.max(i, 0), frames.length - 1);
  frames[now].hidden = false;
  element('at').value = now;
  element('at-text').textContent = 'step ' + frames[now].dataset.step;
}
function stop() {
  clearInterval(timer);
  timer = 0;
  element('play').textContent = 'Play';
}
function play() {
  if (timer) { stop(); return; }
  if (now === frames.length - 1) show(0);
  element('play').textContent = 'Pause';
  timer = setInterval(function () {
    if (now === frames.length - 1) stop();
    else show(now + 1);
  }, 500);
}
element('play').addEventListener('click', play);
element('at').addEventListener('input', function () { stop(); show(+element('at').value); });
document.addEventListener('keydown', function (event) {
  if (event.target.type === 'range' || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === 'ArrowRight') { stop(); show(now + 1); }
  if (event.key === 'ArrowLeft') { stop(); show(now - 1); }
});
show(now);
)js";

namespace {

constexpr size_t kProposalsKept = 30, kDetectionsKept = 20, kFramesShown = 120;
constexpr double kOnObject = 0.5;  // IoU

constexpr std::string_view kStyle = R"css(
.controls { position: sticky; top: 0; z-index: 5; display: flex; align-items: center; gap: 14px; padding: 12px 0;
            background: var(--page); border-bottom: 1px solid var(--line); margin-bottom: 16px; }
.controls button { font: inherit; min-width: 84px; padding: 6px 14px; border: 0; border-radius: 99px; cursor: pointer;
                   background: var(--accent); color: var(--on-accent); }
.controls input { flex: 1; min-width: 0; accent-color: var(--accent); }
.controls output { min-width: 6.5em; text-align: right; font-weight: 650; font-variant-numeric: tabular-nums; }
.frame { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 16px; align-items: start; }
.frame[hidden] { display: none; }
.heat { display: inline-block; width: 120px; height: 10px; border-radius: 3px; margin: 0 6px; }
.frame figcaption { font-size: 14px; color: var(--soft); padding: 6px 2px 0; }
details { margin-top: 26px; max-width: 760px; }
kbd { font: inherit; font-size: 13px; border: 1px solid var(--axis); border-radius: 5px; padding: 0 6px; }
@media screen and (max-width: 760px) {
  .frame { grid-template-columns: minmax(0, 1fr); gap: 12px; }
}
)css";

nlohmann::ordered_json found_json(const std::vector<LearningFrame::Found>& list) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const LearningFrame::Found& f : list)
    json.push_back({f.box.x1, f.box.y1, f.box.x2, f.box.y2, f.score, f.label});
  return json;
}

std::vector<LearningFrame::Found> found_of(const nlohmann::ordered_json& json) {
  std::vector<LearningFrame::Found> list;
  for (const auto& row : json) {
    const auto number = [&](size_t i) { return row.at(i).get<float>(); };
    list.push_back({{number(0), number(1), number(2), number(3)}, number(4), row.at(5).get<int>()});
  }
  return list;
}

/// The objects of the image that count, and how many of them are proposed and found.
void judge(LearningFrame& frame, const Stages& stages, const std::vector<Object>& objects) {
  for (const Object& object : objects) {
    if (is_ignored(object)) continue;
    ++frame.objects;
    frame.proposed += std::any_of(stages.proposals.begin(), stages.proposals.end(), [&](int row) {
      return overlap(stages.proposed[static_cast<size_t>(row)].seen, object.box) >= kOnObject;
    });
    frame.found += std::any_of(stages.detections.begin(), stages.detections.end(), [&](int row) {
      const StageBox& box = stages.classified[static_cast<size_t>(row)];
      return box.group == object.label && box.score >= kUsualConfidence &&
             overlap(box.seen, object.box) >= kOnObject;
    });
  }
}

std::string figure_of(const Drawing& drawing, const std::string& description, const std::string& caption) {
  return fmt::format("<figure><span class=\"plate\">{}</span><figcaption>{}</figcaption></figure>\n",
                     drawing_svg(drawing, description), caption);
}

/// What all frames share.
struct Subject {
  ToImage to_image;
  const std::vector<std::string>& classes;
  const std::vector<Object>& objects;

  Drawing photo() const {
    Drawing drawing;
    drawing.width = static_cast<double>(to_image.size.width);
    drawing.height = static_cast<double>(to_image.size.height);
    drawing.photo = {0, 0, static_cast<float>(drawing.width), static_cast<float>(drawing.height)};
    return drawing;
  }
  /// A label that the classes do not have is shown as its number.
  std::string name(int label) const {
    return label >= 1 && label <= std::ssize(classes) ? classes[static_cast<size_t>(label - 1)]
                                                      : fmt::format("class {}", label);
  }
};

std::string objectness_figure(const Subject& of, const LearningFrame& frame) {
  Drawing drawing = of.photo();
  std::vector<float> values(frame.objectness.begin(), frame.objectness.end());
  const float most = values.empty() ? 0 : *std::max_element(values.begin(), values.end());
  values.resize(static_cast<size_t>(frame.h * frame.w));
  if (!values.empty())
    drawing.layers.push_back(
        {heat_image(values, frame.h, frame.w, 0, 100), map_place(frame.h, frame.w, frame.stride), 0.7f});
  return figure_of(drawing, "objectness",
                   fmt::format("Objectness on {}, the level of the best proposal: {} at most", frame.level,
                               share(double{most} / 100)));
}

std::string proposals_figure(const Subject& of, const LearningFrame& frame) {
  Drawing drawing = of.photo();
  for (size_t i = frame.proposals.size(); i-- > 0;)
    drawing.marks.push_back({.at = frame.proposals[i].box,
                             .colour = mark_colour(static_cast<int>(i)),
                             .width = 1.5f,
                             .title = share(double{frame.proposals[i].score})});
  std::string caption = fmt::format("The best {} of {} proposals after non-maximum suppression",
                                    frame.proposals.size(), frame.proposal_count);
  if (frame.objects > 0)
    caption += fmt::format("; all of them together cover {} of {} objects", frame.proposed, frame.objects);
  return figure_of(drawing, "proposals", caption);
}

std::string detections_figure(const Subject& of, const LearningFrame& frame) {
  Drawing drawing = of.photo();
  for (const Object& object : of.objects)
    drawing.marks.push_back(
        {.at = of.to_image.size.to_input(object.box), .colour = kWhite, .width = 1.5f, .dashed = true});
  int64_t shown = 0;
  for (const LearningFrame::Found& f : frame.detections) {
    if (f.score < kUsualConfidence) continue;
    drawing.marks.push_back({.at = f.box,
                             .colour = mark_colour(f.label - 1),
                             .width = 3,
                             .text = fmt::format("{} {}", of.name(f.label), share(double{f.score}))});
    ++shown;
  }
  const std::string best = frame.detections.empty()
                               ? "there is none"
                               : fmt::format("the best is {} {}", of.name(frame.detections.front().label),
                                             share(double{frame.detections.front().score}));
  std::string caption = fmt::format("{} with a score of {} or more; {}",
                                    shown == 1 ? "1 detection" : fmt::format("{} detections", shown),
                                    share(double{kUsualConfidence}), escape_html(best));
  if (frame.objects > 0)
    caption += fmt::format("; {} of {} objects (dashed) are found", frame.found, frame.objects);
  return figure_of(drawing, "detections", caption);
}

std::string numbers_table(const std::vector<LearningFrame>& frames) {
  const bool judged = frames.front().objects > 0;
  std::string rows;
  for (const LearningFrame& frame : frames) {
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td>", frame.step,
                        frame.proposals.empty() ? "–" : share(double{frame.proposals.front().score}),
                        frame.proposal_count,
                        frame.detections.empty() ? "–" : share(double{frame.detections.front().score}));
    if (judged)
      rows +=
          fmt::format("<td>{0} of {2}</td><td>{1} of {2}</td>", frame.proposed, frame.found, frame.objects);
    rows += "</tr>\n";
  }
  std::string head =
      "<th>step</th><th>best objectness</th><th>proposals</th><th>score of the best detection</th>";
  if (judged) head += "<th>objects proposed</th><th>objects found</th>";
  return folded("All frames in numbers", table(head, rows, "", frames.size()));
}

/// The heat colours, from 0 to 1, as the background of the legend.
std::string heat_style() {
  std::string stops;
  for (int i = 0; i <= 8; ++i) {
    const Colour c = heat_colour(static_cast<float>(i) / 8);
    stops += fmt::format(", rgb({}, {}, {})", c.r, c.g, c.b);
  }
  return fmt::format(".heat {{ background: linear-gradient(90deg{}); }}\n", stops);
}

/// What the colours of the three pictures mean, and what the words count.
std::string legend(bool judged) {
  std::string text =
      "<p>Objectness: 0<span class=\"heat\"></span>1, the highest of the anchors of each cell. Proposals: "
      "the colours only tell the boxes apart. Detections: one colour for each class";
  if (judged)
    text += fmt::format(
        "; the objects of the image are dashed. An object is covered if a proposal overlaps it by an IoU of "
        "{0} or more, and found if a shown detection of its class does",
        share(kOnObject));
  return text + ".</p>\n";
}

}  // namespace

LearningFrame take_frame(Context& ctx, FasterRcnn& model, const Image& image,
                         const std::vector<Object>& objects, int64_t step) {
  const Stages stages = detect_stages(ctx, model, image);
  LearningFrame frame;
  frame.step = step;
  const auto proposed = [&](int row) -> const StageBox& { return stages.proposed[static_cast<size_t>(row)]; };
  const size_t level =
      stages.proposals.empty() ? 0 : stages.level_of(proposed(stages.proposals.front()).source);
  const StageLevel& of = stages.levels[level];
  frame.level = level_name(stages, level);
  frame.h = of.h, frame.w = of.w, frame.stride = of.stride;
  for (int64_t cell = 0; cell < of.h * of.w; ++cell) {
    float most = 0;
    for (int64_t a = 0; a < of.per_cell; ++a)
      most = std::max(
          most, kernels::sigmoid(stages.objectness[static_cast<size_t>(of.first + cell * of.per_cell + a)]));
    frame.objectness.push_back(static_cast<int>(100 * most + 0.5f));
  }
  frame.proposal_count = std::ssize(stages.proposals);
  for (size_t i = 0; i < std::min(kProposalsKept, stages.proposals.size()); ++i) {
    const StageBox& box = proposed(stages.proposals[i]);
    frame.proposals.push_back({box.box, kernels::sigmoid(box.score), 0});
  }
  for (size_t i = 0; i < std::min(kDetectionsKept, stages.detections.size()); ++i) {
    const StageBox& box = stages.classified[static_cast<size_t>(stages.detections[i])];
    frame.detections.push_back({box.box, box.score, box.group});
  }
  judge(frame, stages, objects);
  return frame;
}

nlohmann::ordered_json frame_json(const LearningFrame& frame) {
  return {{"step", frame.step},
          {"level", frame.level},
          {"h", frame.h},
          {"w", frame.w},
          {"stride", frame.stride},
          {"objects", frame.objects},
          {"proposed", frame.proposed},
          {"found", frame.found},
          {"proposal_count", frame.proposal_count},
          {"proposals", found_json(frame.proposals)},
          {"detections", found_json(frame.detections)},
          {"objectness", frame.objectness}};
}

LearningFrame frame_of(const nlohmann::ordered_json& json) {
  LearningFrame frame;
  json.at("step").get_to(frame.step);
  json.at("level").get_to(frame.level);
  json.at("h").get_to(frame.h);
  json.at("w").get_to(frame.w);
  json.at("stride").get_to(frame.stride);
  json.at("objects").get_to(frame.objects);
  json.at("proposed").get_to(frame.proposed);
  json.at("found").get_to(frame.found);
  json.at("proposal_count").get_to(frame.proposal_count);
  json.at("objectness").get_to(frame.objectness);
  frame.proposals = found_of(json.at("proposals"));
  frame.detections = found_of(json.at("detections"));
  return frame;
}

std::string learning_page(const std::string& name, const Image& image, const ModelConfig& config,
                          const std::vector<std::string>& classes, const std::vector<Object>& objects,
                          const std::vector<LearningFrame>& frames) {
  const Subject of{ToImage(config, image), classes, objects};
  std::vector<const LearningFrame*> shown;
  const size_t count = std::min(kFramesShown, frames.size());
  for (size_t i = 0; i < count; ++i)
    shown.push_back(&frames[count == 1 ? frames.size() - 1 : i * (frames.size() - 1) / (count - 1)]);
  std::string all;
  for (const LearningFrame* frame : shown)
    all += fmt::format("<div class=\"frame\" data-step=\"{}\"{}>\n{}{}{}</div>\n", frame->step,
                       frame == shown.back() ? "" : " hidden=\"hidden\"", objectness_figure(of, *frame),
                       proposals_figure(of, *frame), detections_figure(of, *frame));
  const std::string head = fmt::format(
      "{}<header>\n<h1>{}: how it was learned</h1>\n<p>What {} made of this image from step {} to step {} of "
      "its "
      "training, with the weights of that step{}. <kbd>←</kbd> <kbd>→</kbd> step through the frames.</p>\n"
      "</header>\n",
      photo_definition(image), escape_html(name), escape_html(config.backbone), frames.front().step,
      frames.back().step,
      count < frames.size() ? fmt::format("; {} of {} frames", count, frames.size()) : "");
  const std::string controls = fmt::format(
      "<div class=\"controls\"><button type=\"button\" id=\"play\">Play</button><input id=\"at\" "
      "type=\"range\" "
      "min=\"0\" max=\"{0}\" step=\"1\" value=\"{0}\" aria-label=\"frame\"/><output id=\"at-text\">step {1}"
      "</output></div>\n",
      count - 1, shown.back()->step);
  return html_page(
      name + ": how it was learned", std::string(kDrawingStyle) + std::string(kStyle) + heat_style(),
      head + controls + all + legend(frames.front().objects > 0) + numbers_table(frames), kLearningScript);
}

}  // namespace rcnn
