// The recall after each stage of the detector: at which of them the missed objects are lost.
#include <fmt/format.h>

#include <array>

#include "eval/biography.h"
#include "report/html.h"
#include "report/sections.h"

namespace rcnn {
namespace {

/// A stage, the causes of misses that are decided in it, and the settings to change.
struct Stage {
  const char* name;
  std::array<MissCause, 2> lost;  // the same twice if there is one
  std::array<Fate, 2> settings;   // those of these fates
};
constexpr std::array<Stage, 4> kStages = {
    {{"proposed", {MissCause::not_proposed, MissCause::not_proposed}, {Fate::no_box, Fate::over_proposals}},
     {"classified", {MissCause::low_score, MissCause::wrong_class}, {Fate::low_score, Fate::wrong_class}},
     {"well placed",
      {MissCause::poorly_placed, MissCause::poorly_placed},
      {Fate::poorly_placed, Fate::poorly_placed}},
     {"kept by NMS: found",
      {MissCause::lost_in_nms, MissCause::lost_in_nms},
      {Fate::lost_in_nms, Fate::over_detections}}}};

}  // namespace

std::string stages_table(const Diagnosis& diagnosis) {
  constexpr size_t kSizes = 3;
  std::array<int64_t, kSizes + 1> objects{}, left{};  // the last is the sum
  for (size_t size = 0; size < kSizes; ++size) {
    if (diagnosis.misses_by_size[size][static_cast<size_t>(MissCause::not_detected)] > 0) return "";
    objects[size] = diagnosis.objects_by_size[size];
    objects[kSizes] += objects[size];
  }
  if (objects[kSizes] == 0) return "";
  left = objects;
  std::string rows;
  for (const Stage& stage : kStages) {
    std::string cells;
    for (size_t size = 0; size <= kSizes; ++size) {
      for (size_t i = 0; i < (stage.lost[0] == stage.lost[1] ? 1U : 2U); ++i)
        for (size_t of = size == kSizes ? 0 : size; of < (size == kSizes ? kSizes : size + 1); ++of)
          left[size] -= diagnosis.misses_by_size[of][static_cast<size_t>(stage.lost[i])];
      cells += fmt::format("<td>{}</td>", objects[size] == 0 ? "–"
                                                             : percent(static_cast<double>(left[size]) /
                                                                       static_cast<double>(objects[size])));
    }
    const std::string_view first = setting_for(stage.settings[0]), second = setting_for(stage.settings[1]);
    rows += fmt::format("<tr><td>{}</td>{}<td class=\"text\"><code>{}</code>{}</td></tr>\n", stage.name,
                        cells, first, first == second ? "" : fmt::format(", <code>{}</code>", second));
  }
  return "<h3>Recall after each stage</h3>\n" +
         table(
             "<th>objects that are</th><th>small</th><th>medium</th><th>large</th><th>all</th><th "
             "class=\"text\">change, by <code>rcnn train</code> unless it is <code>--score</code></th>",
             rows, "", kStages.size());
}

}  // namespace rcnn
