// The page of an explanation: the chapters one below the other, what became of each object, and the script
// that steps through them and recomputes the last step.
#include <fmt/format.h>

#include <algorithm>

#include "report/explain_parts.h"
#include "report/html.h"

namespace rcnn {

// Non-maximum suppression as in kernels/boxes/nms.h: by descending score, ties by the earlier box, in floats
// (Math.fround), so that the page and the program keep the same boxes. No character below that XML reserves:
// comparisons are written with "greater".
const std::string_view kExplainScript = R"js(
'use strict';
var fround = Math.fround;
function area(b, plus) {
  return fround(fround(fround(b[2] + plus) - b[0]) * fround(fround(b[3] + plus) - b[1]));
}
function iou(a, b, plus) {
  var ax2 = fround(a[2] + plus), ay2 = fround(a[3] + plus), bx2 = fround(b[2] + plus), by2 = fround(b[3] + plus);
  var left = a[0] > b[0] ? a[0] : b[0], right = bx2 > ax2 ? ax2 : bx2;
  var top = a[1] > b[1] ? a[1] : b[1], bottom = by2 > ay2 ? ay2 : by2;
  var width = right > left ? fround(right - left) : 0, height = bottom > top ? fround(bottom - top) : 0;
  var common = fround(width * height);
  var whole = fround(fround(area(a, plus) + area(b, plus)) - common);
  return whole > 0 ? fround(common / whole) : 0;
}
/* boxes: [x1, y1, x2, y2, score, label]; returns the indices that are kept, best first */
function nms(boxes, threshold, max, plus) {
  boxes = boxes.map(function (b) { return b.map(fround); });
  threshold = fround(threshold);
  var order = boxes.map(function (b, i) { return i; });
  order.sort(function (i, j) { return boxes[j][4] - boxes[i][4] || i - j; });
  var kept = [];
  order.forEach(function (i) {
    if (kept.length >= max) return;
    var suppressed = kept.some(function (k) {
      return boxes[k][5] === boxes[i][5] ? iou(boxes[k], boxes[i], plus) > threshold : false;
    });
    if (!suppressed) kept.push(i);
  });
  return kept;
}
function element(id) { return document.getElementById(id); }
function play() {
  var data = JSON.parse(element('whatif-data').textContent);
  var colours = ['#3ddc84', '#4db5ff', '#ff7a33', '#ffd640', '#ff6ec7', '#9678ff', '#40e0d0', '#ff5050'];
  var svg = 'http://www.w3.org/2000/svg';
  function add(parent, name, attributes, text) {
    var node = document.createElementNS(svg, name);
    Object.keys(attributes).forEach(function (key) { node.setAttribute(key, attributes[key]); });
    if (text) node.textContent = text;
    parent.appendChild(node);
  }
  function two(value) { return value.toFixed(2).replace('0.', '.'); }
  var same = data.shown.every(function (t) { return t === data.shown[0]; });
  var moved = false; /* until the first slider is moved, each class has its own threshold */
  function update() {
    var score = +element('whatif-score').value, threshold = +element('whatif-iou').value, max = +element('whatif-top').value;
    element('whatif-score-text').textContent = moved || same ? two(score) : 'the threshold of each class';
    element('whatif-score').className = moved || same ? '' : 'unset';
    element('whatif-iou-text').textContent = two(threshold);
    element('whatif-top-text').textContent = max;
    var left = nms(data.boxes, threshold, Infinity, data.plus), kept = left.slice(0, max);
    var shown = kept.filter(function (i) { return data.boxes[i][4] >= (moved ? score : data.shown[data.boxes[i][5] - 1]); });
    var group = element('whatif-boxes'), unit = group.ownerSVGElement.viewBox.baseVal.width / 34;
    var high = group.ownerSVGElement.viewBox.baseVal.height, wide = group.ownerSVGElement.viewBox.baseVal.width, taken = [];
    group.textContent = '';
    /* above the box, else below it, inside it or at its right side, where no other text is */
    function place_of(b, length) {
      var choices = [];
      [b[0], b[2] - length].forEach(function (x) {
        [b[1] - unit / 4, b[3] + unit, b[1] + unit, b[3] - unit / 4, b[1] - unit * 1.3, b[3] + unit * 2, b[1] + unit * 2.1].forEach(function (y) {
          choices.push([Math.max(0, Math.min(x, wide - length)), y]);
        });
      });
      var free = choices.find(function (c) {
        var inside = c[1] >= unit ? high >= c[1] : false;
        return inside ? taken.every(function (t) {
          return t[0] >= c[0] + length || c[0] >= t[0] + t[2] || Math.abs(t[1] - c[1]) >= unit * 1.1;
        }) : false;
      });
      if (free) taken.push([free[0], free[1], length]);
      return free;
    }
    shown.slice().reverse().forEach(function (i) {
      var b = data.boxes[i], place = { x: b[0], y: b[1], width: b[2] - b[0], height: b[3] - b[1] };
      add(group, 'rect', Object.assign({ 'class': 'edge', 'stroke-width': 5 }, place));
      add(group, 'rect', Object.assign({ 'class': 'line', 'stroke-width': 3, stroke: colours[kept.indexOf(i) % 8] }, place));
    });
    shown.forEach(function (i) {
      var b = data.boxes[i], name = data.names[b[5] - 1] + ' ' + two(b[4]), at = place_of(b, name.length * unit * 0.62);
      if (at) add(group, 'text', { x: at[0], y: at[1], 'font-size': unit, fill: colours[kept.indexOf(i) % 8] }, name);
    });
    element('whatif-result').textContent = data.boxes.length + ' boxes; ' + kept.length + ' of ' + left.length +
        ' that survive suppression are kept; ' + shown.length +
        (shown.length === 1 ? ' reaches the confidence and is shown.' : ' reach the confidence and are shown.');
  }
  element('whatif-score').addEventListener('input', function () { moved = true; });
  ['whatif-score', 'whatif-iou', 'whatif-top'].forEach(function (id) { element(id).addEventListener('input', update); });
  update();
}
function step(by) {
  var all = Array.from(document.querySelectorAll('section')), now = -1;
  var bar = document.querySelector('.nav-bar'), top = getComputedStyle(bar).position === 'sticky' ? bar.offsetHeight : 0;
  all.forEach(function (section, i) { if (top + 40 > section.getBoundingClientRect().top) now = i; });
  var next = Math.min(Math.max(now + by, -1), all.length - 1);
  window.scrollTo({ top: 0 > next ? 0 : all[next].getBoundingClientRect().top + window.scrollY - top - 8 });
}
document.addEventListener('keydown', function (event) {
  if (event.target.type === 'range' || event.ctrlKey || event.altKey || event.metaKey) return;
  if (document.querySelector('.zoom input:checked')) return; /* the arrows show the next picture */
  if (event.key === 'ArrowRight') step(1);
  if (event.key === 'ArrowLeft') step(-1);
});
if (element('whatif-data')) play();
)js";

namespace {

constexpr std::string_view kExplainStyle = R"css(
.nav-bar { position: sticky; top: 0; z-index: 5; background: var(--page); border-bottom: 1px solid var(--line);
           margin: 0 -28px 18px; padding: 8px 28px; }
.nav-bar nav { margin: 0; gap: 6px; }
.nav-bar nav a { padding: 3px 9px; font-size: 13.5px; white-space: nowrap; }
section { scroll-margin-top: 92px; border-bottom: 1px solid var(--line); padding-bottom: 34px; }
section > h2 { display: flex; align-items: center; gap: 14px; font-size: 25px; margin-top: 40px; line-height: 1.2; }
section > h2 b { flex: none; width: 38px; height: 38px; border-radius: 50%; background: var(--accent); color: var(--on-accent);
                 font-size: 18px; display: grid; place-items: center; }
section > p.lead { font-size: 17px; color: var(--ink); margin: 8px 0 8px; max-width: 46em; }
.facts { font-size: 13.5px; margin: 0 0 16px; max-width: none; display: flex; flex-wrap: wrap; gap: 2px 20px; }
.plates { margin-bottom: 18px; display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 18px; align-items: start; }
.result .stays { position: sticky; top: 92px; } .result .stays:has(input:checked) { z-index: 9; } .result .scroll { margin-top: 14px; } .note { font-size: 14px; margin-top: 8px; } .result details, .below details { margin-top: 8px; }
.result h3 { margin-top: 0; } .below ul { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 26px; }
.plates.small { grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 12px; margin-bottom: 18px; }
section a, .note a, .stories a { color: var(--accent); }
.plates figcaption { font-size: 14px; color: var(--soft); padding: 6px 2px 0; }
.zoom .plate { cursor: zoom-in; box-shadow: 0 0 0 1px var(--line); }
.grid table { width: auto; } .grid th:first-child { min-width: 24px; } .grid tbody th { border: 0; padding: 0; vertical-align: middle; }
.grid th { padding-right: 10px; } .grid td { padding: 7px 10px; } .grid .marked { font-weight: 700; background: var(--tint); }
section .scroll td.sum { white-space: nowrap; }
.zoom input:focus-visible + .plate { outline: 3px solid var(--accent); outline-offset: 2px; }
.zoom input:checked + .plate { position: fixed; inset: 0; z-index: 9; border-radius: 0; cursor: zoom-out; outline: 0; }
.zoom input:checked + .plate .drawing { width: 100%; height: 100%; max-height: none; }
tr.changed td { background: var(--tint); font-weight: 650; }
#what-if .scroll td { white-space: normal; } #what-if .scroll td:first-child { min-width: 34%; }
header a { color: var(--accent); }
section .scroll { margin-top: 18px; max-width: 860px; }
section > .scroll + p { margin-top: 14px; }
section > p { margin-top: 14px; }
.stories { list-style: none; margin: 14px 0 0; padding: 0; counter-reset: none; }
.stories li { border-left: 4px solid var(--axis); padding: 6px 0 6px 14px; margin: 8px 0; max-width: 66em; }
.stories .found { border-color: #22a35b; } .stories .lost { border-color: #e2571b; }
.stories b { display: inline-block; margin-right: 8px; } .stories small { display: block; color: var(--soft); font-size: 14px; }
.whatif { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 26px; align-items: start; }
.whatif label { display: block; margin-bottom: 16px; } .whatif output { font-weight: 650; font-variant-numeric: tabular-nums; }
.whatif input { display: block; width: 100%; accent-color: var(--accent); margin-top: 4px; }
.whatif .unset { opacity: .35; }
.whatif p { font-size: 14px; margin-bottom: 10px; } .whatif #whatif-result { font-size: 16px; color: var(--ink); }
kbd { font: inherit; font-size: 13px; border: 1px solid var(--axis); border-radius: 5px; padding: 0 6px; }
@media screen and (max-width: 760px) {
  .plates, .whatif { grid-template-columns: minmax(0, 1fr); }
  .plates.small { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .result .stays { position: static; }
  .below ul { grid-template-columns: minmax(0, 1fr); }
  .nav-bar { margin: 0 -16px 16px; padding: 8px 16px; }
  .nav-bar nav { flex-wrap: nowrap; overflow-x: auto; }
  .keys { display: none; }
  section { scroll-margin-top: 56px; }
  .scroll td, .scroll th { padding-left: 5px; }
  .scroll td:first-child, .scroll th:first-child { min-width: 0; padding-left: 0; overflow-wrap: normal;
                                                       position: sticky; left: 0; background: var(--page); }
  .scroll tfoot td { white-space: normal; } .scroll table { font-size: 12px; } .scroll th { font-size: 11px; }
  section > h2 { font-size: 21px; }
  section .bar { display: inline-block; width: 56px; }
}
)css";

std::string chapter_section(const Chapter& chapter, int number) {
  // Neighbours of one size stand in one grid.
  std::string plates;
  for (size_t i = 0; i < chapter.plates.size();) {
    const bool small = chapter.plates[i].small;
    std::string group;
    for (; i < chapter.plates.size() && chapter.plates[i].small == small; ++i)
      group += plate_figure(chapter.plates[i], chapter.title);
    plates += fmt::format("<div class=\"plates{}\">\n{}</div>\n", small ? " small" : "", group);
  }
  return fmt::format(
      "<section id=\"{}\">\n<h2><b>{}</b>{}</h2>\n<p class=\"lead\">{}</p>\n<p "
      "class=\"facts\"><span>{}</span>"
      "<span><code>{}</code> in <code>{}</code></span><span>{}</span></p>\n{}{}</section>\n",
      chapter.id, number, escape_html(chapter.title), chapter.text, chapter.shape,
      escape_html(chapter.source.function), chapter.source.file, escape_html(chapter.paper), plates,
      chapter.more);
}

}  // namespace

std::string plate_figure(const Plate& plate, const std::string& description) {
  return fmt::format(
      "<figure><label class=\"zoom\"><input type=\"checkbox\" aria-label=\"enlarge\"/>"
      "<span class=\"plate\">{}</span></label><figcaption>{}</figcaption></figure>\n",
      drawing_svg(plate.drawing, description), plate.caption);
}

std::string explain_page(const Explained& of, const std::string& name, const std::vector<Chapter>& chapters) {
  std::string sections, links;
  int number = 0;
  for (const Chapter& chapter : chapters) {
    sections += chapter_section(chapter, ++number);
    links += fmt::format("<a href=\"#{}\">{} {}</a>", chapter.id, number, chapter.id);
  }
  const auto shown = std::count_if(of.told.detections.begin(), of.told.detections.end(),
                                   [](const DetectionStory& story) { return story.shown; });
  const std::string head = fmt::format(
      "{}<header>\n<h1>{}, explained</h1>\n<p>{}: {} anchors become {} proposals and {} detections, of which "
      "{} the confidence threshold. This page follows {} through every stage; all numbers are in "
      "<code>trace.json</code>.<span class=\"keys\"> <kbd>←</kbd> <kbd>→</kbd> step through the "
      "chapters.</span>{}</p>\n</header>\n",
      photo_definition(of.image), escape_html(name), escape_html(of.config().backbone),
      of.stages.anchors.size(), of.stages.proposals.size(), of.stages.detections.size(),
      shown == 1 ? "1 reaches" : fmt::format("{} reach", shown),
      of.followed.detection >= 0 ? fmt::format("detection {}", of.followed.detection + 1)
                                 : "the best proposal",
      chapters.back().id == "what-if"
          ? " The last chapter shows <a href=\"#what-if\">what other settings would change</a>."
          : "");
  return html_page(name + ", explained", std::string(kDrawingStyle) + std::string(kExplainStyle),
                   head + fmt::format("<div class=\"nav-bar\"><nav>{}</nav></div>\n", links) +
                       explain_result(of) + sections,
                   kExplainScript);
}

}  // namespace rcnn
