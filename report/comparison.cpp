#include "report/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/files/atomic_file.h"
#include "data/draw.h"
#include "report/html.h"
#include "report/overlay.h"
#include "report/pictures.h"

namespace rcnn {
namespace {

constexpr size_t kShownImages = 8;  // of those that either wins
constexpr size_t kMaxRemarks = 4;   // under a picture

constexpr std::string_view kStyle = R"css(
.verdict { font-size: 21px; line-height: 1.35; color: var(--ink); margin-top: 24px; max-width: 44em; }
.verdict + p { margin-top: 8px; max-width: 46em; }
td svg { display: inline-block; width: 190px; height: 18px; vertical-align: middle; }
td.undecided { color: var(--soft); }
.trio { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 14px; padding: 14px 0 18px;
        border-top: 1px solid var(--line); align-items: start; }
.trio h3 { grid-column: 1 / -1; margin: 0; }
.trio img { display: block; width: 100%; height: auto; max-height: 340px; object-fit: contain;
            border-radius: 8px; background: var(--tint); }
.trio span { display: block; font-size: 14px; padding: 0 2px 4px; }
.trio ul { font-size: 13.5px; padding: 5px 0 0 18px; color: var(--soft); }
@media screen and (max-width: 760px) {
  .verdict { font-size: 18px; }
  td svg { width: clamp(70px, 100vw - 250px, 150px); }
  .trio { grid-template-columns: minmax(0, 1fr); }
  table, thead, tbody { display: block; } /* rows of two lines, with all columns in sight */
  tr { display: grid; grid-template-columns: 1fr 52px 52px 76px; padding: 4px 0; align-items: baseline;
       border-bottom: 1px solid var(--line); }
  th, td { border: 0; padding: 2px 0; }
  th:nth-child(5), td:nth-child(5) { grid-column: 1; text-align: left; color: var(--soft); }
  th:nth-child(6), td:nth-child(6) { grid-column: 2 / 4; justify-self: end; }
  td:nth-child(7) { white-space: normal; }
  .tall thead th { position: static; padding-top: 2px; }
}
)css";

/// The interval as a line and the difference as a dot, on an axis from -`range` to `range` with a mark at 0.
std::string interval_picture(const Difference& d, double range) {
  const auto x = [&](double value) { return 95 + 90 * std::clamp(value / range, -1.0, 1.0); };
  const char* colour = d.b_is_better() ? kThird : d.a_is_better() ? kSecond : "#7b8694";
  std::string svg =
      "<svg viewBox=\"0 0 190 18\" aria-hidden=\"true\"><line x1=\"95\" y1=\"0\" x2=\"95\" y2=\"18\" "
      "stroke=\"#aab3c0\"/>";
  if (d.has_interval())
    svg += fmt::format(
        "<line x1=\"{:.1f}\" y1=\"9\" x2=\"{:.1f}\" y2=\"9\" style=\"stroke:{}\" stroke-width=\"3\" "
        "stroke-linecap=\"round\"/>",
        x(d.low), x(d.high), colour);
  svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"9\" r=\"4\" style=\"fill:{}\"/>", x(d.b - d.a), colour);
  return svg + "</svg>";
}

std::string row(const std::string& name, const Difference& d, double range) {
  return fmt::format(
      "<tr><td>{}</td><td>{:.3f}</td><td>{:.3f}</td><td>{}</td><td>{}</td><td>{}</td>"
      "<td{}>{}</td></tr>\n",
      name, d.a, d.b, signed_figure(d.b - d.a, 3),
      d.has_interval() ? fmt::format("{} to {}", signed_figure(d.low, 3), signed_figure(d.high, 3)) : "–",
      interval_picture(d, range), d.b_is_better() || d.a_is_better() ? "" : " class=\"undecided\"",
      d.better());
}

/// The largest distance of a difference or an end of an interval from 0, but at least .01.
double range_of(const Comparison& comparison) {
  double range = 0.01;
  for (const std::vector<Difference>* all : {&comparison.figures, &comparison.classes})
    for (const Difference& d : *all)
      for (const double value : {d.b - d.a, d.low, d.high})
        if (std::abs(value) > range) range = std::abs(value);
  return range;
}

std::string figures_table(const std::string& what, const std::string& rows, size_t count) {
  return table(fmt::format("<th>{}</th><th>A</th><th>B</th><th>B − A</th><th>95 % interval</th>"
                           "<th></th><th>better</th>",
                           what),
               rows, "", count);
}

std::string section(std::string_view id, std::string_view heading, std::string_view introduction,
                    std::string_view body) {
  return fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n<p>{}</p>\n{}</section>\n", id, heading, introduction,
                     body);
}

std::string figures_sections(const Comparison& comparison, const Dataset& dataset) {
  const double range = range_of(comparison);
  std::string rows;
  size_t count = 0;
  for (size_t i = 0; i < kComparedFigures.size(); ++i)
    if (!std::isnan(comparison.figures[i].a)) {
      rows += row(escape_html(kComparedFigures[i].words), comparison.figures[i], range);
      ++count;
    }
  std::string page =
      rows.empty()
          ? ""
          : section("figures", "Figures",
                    "The line is the interval in which the difference lies with a confidence of 95 %, "
                    "the dot the difference on these images; on the right of the mark at 0, B is "
                    "better. If a line crosses the mark, the data cannot tell which is better.",
                    figures_table("figure", rows, count));
  rows.clear();
  count = 0;
  for (size_t c = 0; c < dataset.classes.size(); ++c)
    if (!std::isnan(comparison.classes[c].a)) {
      rows += row(escape_html(dataset.classes[c]), comparison.classes[c], range);
      ++count;
    }
  if (rows.empty()) return page;
  return page + section("classes", "Classes",
                        "Average precision at an IoU of .5. One of twenty intervals excludes 0 by chance, so "
                        "with many classes a few of these decisions mean nothing.",
                        figures_table("class", rows, count));
}

std::string one_of_trio(const std::string& name, const ReportPicture& picture, const JudgedImage* found) {
  std::string text = name, remarks;
  if (found != nullptr) {
    text = fmt::format("{}: {} missed, {} wrong, {} correct", name, found->missed.size(), found->wrong.size(),
                       found->right.size());
    for (size_t i = 0; i < std::min(kMaxRemarks, found->reasons.size()); ++i)
      remarks += fmt::format("<li>{}</li>", escape_html(found->reasons[i]));
    if (found->reasons.size() > kMaxRemarks)
      remarks += fmt::format("<li>and {} more</li>", found->reasons.size() - kMaxRemarks);
    if (!remarks.empty()) remarks = fmt::format("<ul>{}</ul>", remarks);
  }
  return fmt::format("<div><span>{}</span>{}{}</div>", text, picture_element(picture, text), remarks);
}

std::string images_section(const Comparison& comparison, const Dataset& dataset,
                           const std::vector<int>& images, std::string_view id, std::string_view heading) {
  std::string body;
  size_t shown = 0;
  for (const int image : images) {
    if (shown == kShownImages) break;
    const auto i = static_cast<size_t>(image);
    const JudgedImage &a = comparison.a.at(i), &b = comparison.b.at(i);
    const Sample& sample = dataset.samples.at(i);
    const auto truth = truth_picture(sample, dataset.classes);
    const auto by_a = judged_picture(a, dataset), by_b = judged_picture(b, dataset);
    if (!truth || !by_a || !by_b) continue;
    ++shown;
    body += fmt::format("<div class=\"trio\"><h3>{}</h3>{}{}{}</div>\n", escape_html(sample.id),
                        one_of_trio("Ground truth", *truth, nullptr), one_of_trio("A", *by_a, &a),
                        one_of_trio("B", *by_b, &b));
  }
  if (body.empty()) return "";
  const std::string introduction = fmt::format(
      "{} of {}, the largest difference first. Errors are missed objects and wrong detections at the "
      "recommended confidence thresholds.",
      shown, images.size());
  return section(id, heading, introduction,
                 "<p class=\"key\"><span><i class=\"missed\"></i>?: missed (false negative)</span>"
                 "<span><i class=\"wrong\"></i>×: wrong (false positive), with score</span>"
                 "<span><i class=\"right\"></i>correct</span></p>\n" +
                     body);
}

std::string facts_list(const ComparisonPage& page) {
  std::string rows;
  for (const auto& [name, value] : page.facts)
    rows += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escape_html(name), escape_html(value));
  for (const auto& [name, value] : page.verbatim_facts)
    rows += fmt::format("<dt>{}</dt><dd><code>{}</code></dd>\n", escape_html(name), escape_html(value));
  return rows.empty() ? "" : fmt::format("<dl>\n{}</dl>\n", rows);
}

}  // namespace

std::string render_comparison(const ComparisonPage& page, const Comparison& comparison,
                              const Dataset& dataset) {
  std::string main = fmt::format("<header>\n<h1>{}</h1>\n", escape_html(page.title));
  if (!page.subtitle.empty()) main += fmt::format("<p>{}</p>\n", escape_html(page.subtitle));
  main += fmt::format(
      "</header>\n<p class=\"verdict\">{}</p>\n<p>{} mAP@.5 takes the detections of every score, so that it "
      "can favour the detector with more errors at these thresholds.</p>\n",
      escape_html(verdict(comparison)), escape_html(images_sentence(comparison)));
  main += facts_list(page);
  main += figures_sections(comparison, dataset);
  main += images_section(comparison, dataset, comparison.won, "won", "Images on which B makes fewer errors");
  main +=
      images_section(comparison, dataset, comparison.lost, "lost", "Images on which A makes fewer errors");
  main +=
      section("method", "How the intervals are computed",
              fmt::format("Of the {} images as many are drawn with replacement, {} times. Both detectors are "
                          "evaluated on each draw, and the interval reaches from the 2.5 % to the 97.5 % "
                          "quantile of the differences (paired bootstrap, Efron 1979). It says how much the "
                          "result depends on the choice of these images, and not how much it would change "
                          "if a model were trained again. A figure whose objects lie on fewer than {} "
                          "images has no interval.",
                          comparison.images, kResamples, kMinComparedImages),
              "");
  return html_page(page.title, kStyle, main);
}

void write_comparison(const std::filesystem::path& path, const ComparisonPage& page,
                      const Comparison& comparison, const Dataset& dataset) {
  write_atomically(path, render_comparison(page, comparison, dataset));
}

}  // namespace rcnn
