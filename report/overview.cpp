// The beginning of the report: the result at a glance, and what to do next.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html.h"
#include "report/overlay.h"
#include "report/sections.h"

namespace rcnn {
namespace {

constexpr size_t kGoodShown = 3;
constexpr size_t kCausesNamed = 4, kKindsNamed = 2;  // in "What to do next"
constexpr double kRare = 0.05;  // the share of all misses, or of all false positives, that is worth advice

std::string counted(int64_t count, const char* name) {
  return fmt::format("{} {}{}", count, name, count == 1 ? "" : "s");
}

double ratio(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

/// A figure in large type with its name and a remark, all of them HTML.
std::string tile(const std::string& value, const std::string& name, const std::string& remark,
                 bool main = false) {
  return fmt::format("<div class=\"tile{}\"><b>{}</b><span>{}</span>{}</div>\n", main ? " main" : "", value,
                     name, remark.empty() ? "" : fmt::format("<small>{}</small>", remark));
}

/// The thresholds of the classes of which something is found: one number, or the lowest and the highest.
std::string confidence_tile(const Diagnosis& diagnosis) {
  double low = 1, high = 0;
  for (const ScoreCurve& curve : diagnosis.classes)
    if (curve.best_f1 > 0)
      low = std::min(low, double{curve.best_score}), high = std::max(high, double{curve.best_score});
  if (low > high) return "";
  const std::string lowest = fmt::format("{:.2f}", low), highest = fmt::format("{:.2f}", high);
  const char* name = "recommended confidence threshold";
  if (lowest == highest) return tile(lowest, name, "with the largest F1; <code>rcnn detect</code> uses it");
  return tile(fmt::format("{} to {}", lowest, highest), name,
              fmt::format("by class; one for all classes: {:.2f}", diagnosis.all.best_score));
}

std::string tiles(const ReportData& data) {
  std::string tiles;
  if (data.diagnosis) {
    const Tally all = tally(*data.diagnosis);
    const int64_t shown = all.found + all.false_positives;
    if (all.objects > 0)
      tiles += tile(fmt::format("{} of {}", all.found, all.objects), "objects found",
                    fmt::format("recall {}", percent(ratio(all.found, all.objects))), true);
    tiles += tile(fmt::format("{}", all.false_positives), "false alarms (false positives)",
                  shown == 0 ? "no detections"
                             : fmt::format("of {}; precision {}", counted(shown, "detection"),
                                           percent(ratio(all.found, shown))));
    tiles += confidence_tile(*data.diagnosis);
  }
  if (!data.result.classes.empty()) {
    const bool coco = !data.coco_figures.empty() && data.coco_figures.front().second >= 0;
    tiles += tile(fmt::format("{:.3f}", data.result.map_area), "mAP@.5",
                  coco ? fmt::format("mAP@.5:.95 (COCO): {:.3f}", data.coco_figures.front().second) : "",
                  !data.diagnosis);
  }
  return tiles.empty() ? "" : fmt::format("<div class=\"tiles\">\n{}</div>\n", tiles);
}

std::string overview_figure(const ReportPicture& picture, const char* rank) {
  return picture_figure(picture, fmt::format("{} image: {}, {}", rank, picture.caption, picture.verdict),
                        fmt::format("<b>{}</b>{}<small>{}</small>", rank, escape_html(picture.verdict),
                                    escape_html(picture.caption)));
}

std::string overview_pictures(const ReportData& data) {
  std::string figures;
  for (size_t i = 0; i < std::min(kGoodShown, data.good.size()); ++i)
    figures += overview_figure(data.good[i], "Best");
  if (!data.worst.empty()) figures += overview_figure(data.worst.front(), "Worst");
  return figures.empty() ? "" : fmt::format("<div class=\"sheet\">\n{}</div>\n{}", figures, picture_key());
}

/// A piece of advice, with the number of objects or detections that it may win.
struct Advice {
  int64_t lost = 0, false_positives = 0;
  std::string heading, text;  // HTML
};

/// The kind of false positive that explains a miss of this cause; -1 if there is none.
int kind_of_cause(size_t cause) {
  switch (static_cast<MissCause>(cause)) {
    case MissCause::wrong_class:
      return static_cast<int>(FalsePositive::wrong_class);
    case MissCause::poorly_placed:
      return static_cast<int>(FalsePositive::poorly_placed);
    default:
      return -1;
  }
}

/// The causes of misses, then the kinds of false positives that are no cause of misses.
std::vector<Advice> advice_of(const Diagnosis& diagnosis) {
  const Tally all = tally(diagnosis);
  std::vector<Advice> causes, kinds;
  auto wrong = diagnosis.false_positives;
  for (size_t cause = 0; cause < kMissCauses; ++cause) {
    Advice advice;
    for (const auto& of_size : diagnosis.misses_by_size) advice.lost += of_size[cause];
    if (advice.lost == 0) continue;
    advice.heading = fmt::format("{} of {} missed objects: {}.", advice.lost, all.objects - all.found,
                                 name_of(static_cast<MissCause>(cause)));
    advice.text = advice_html(advice_for(static_cast<MissCause>(cause)));
    // The detection that explains the miss is the same error.
    if (const int kind = kind_of_cause(cause); kind >= 0) {
      int64_t& same = wrong[static_cast<size_t>(kind)];
      same = std::max<int64_t>(0, same - advice.lost);
    }
    causes.push_back(std::move(advice));
  }
  for (size_t kind = 0; kind < wrong.size(); ++kind) {
    if (wrong[kind] == 0) continue;
    const int64_t same = diagnosis.false_positives[kind] - wrong[kind];
    const std::string others =
        same > 0 ? fmt::format("Another {} explain missed objects and are counted there. ", same) : "";
    kinds.push_back({0, wrong[kind],
                     fmt::format("{} of {}: {}.", wrong[kind], counted(all.false_positives, "false positive"),
                                 name_of(static_cast<FalsePositive>(kind))),
                     others + advice_html(advice_for(static_cast<FalsePositive>(kind)))});
  }
  std::stable_sort(causes.begin(), causes.end(),
                   [](const Advice& a, const Advice& b) { return a.lost > b.lost; });
  std::stable_sort(kinds.begin(), kinds.end(),
                   [](const Advice& a, const Advice& b) { return a.false_positives > b.false_positives; });
  // Of the rare ones only the first is listed, if there is no other.
  const auto keep = [](std::vector<Advice>& all_of_them, size_t most, int64_t of) {
    while (all_of_them.size() > most ||
           (all_of_them.size() > 1 &&
            kRare * static_cast<double>(of) >
                static_cast<double>(all_of_them.back().lost + all_of_them.back().false_positives)))
      all_of_them.pop_back();
  };
  keep(causes, kCausesNamed, all.objects - all.found);
  keep(kinds, kKindsNamed, all.false_positives);
  causes.insert(causes.end(), kinds.begin(), kinds.end());
  return causes;
}

/// What looks wrong with the data. What is said of several splits is listed once.
std::string data_remarks(const ReportData& data) {
  std::string items;
  std::vector<std::string> said;
  for (const DataSummary& summary : data.summaries)
    for (const std::string& sentence : summary.advice) {
      if (std::find(said.begin(), said.end(), sentence) != said.end()) continue;
      said.push_back(sentence);
      items += fmt::format("<li><b>{}:</b> {}</li>\n", escape_html(summary.split), advice_html(sentence));
    }
  return items.empty() ? "" : fmt::format("<h3>Check the dataset</h3>\n<ul>\n{}</ul>\n", items);
}

}  // namespace

std::string render_overview(const ReportData& data) {
  const std::string body = tiles(data) + overview_pictures(data);
  if (body.empty()) return "";
  const std::string where =
      data.evaluated_on.empty() ? "" : fmt::format("Evaluated on {}. ", escape_html(data.evaluated_on));
  const std::string how = data.diagnosis ? "An object is found if a detection of its class overlaps it by an "
                                           "IoU of .5 or more and reaches the recommended confidence."
                                         : "";
  return fmt::format("<div id=\"overview\">\n{}{}</div>\n", body,
                     where.empty() && how.empty() ? "" : fmt::format("<p>{}{}</p>\n", where, how));
}

ReportSection next_steps_section(const ReportData& data) {
  std::string items;
  if (data.diagnosis)
    for (const Advice& advice : advice_of(*data.diagnosis))
      items += fmt::format("<li><b>{}</b> {}</li>\n", advice.heading, advice.text);
  if (!items.empty()) items = fmt::format("<ol>\n{}</ol>\n", items);
  return {"next", "What to do next",
          items.empty() ? "" : "Ranked by the objects that are lost, then by the false positives.",
          items + data_remarks(data)};
}

}  // namespace rcnn
