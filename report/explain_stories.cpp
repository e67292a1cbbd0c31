// The top of the page: the detections and the objects, what each object passed through, and their stories.
#include <fmt/format.h>

#include <algorithm>

#include "eval/matching.h"
#include "kernels/loss/loss_math.h"
#include "report/explain_parts.h"
#include "report/html.h"

namespace rcnn {
namespace {

/// The chapter in which it was decided.
const char* chapter_of(const ObjectStory& story) {
  if (story.below >= 0) return "detections";
  switch (story.fate) {
    case Fate::no_box:
      return "anchors";
    case Fate::below_top_k:
      return "objectness";
    case Fate::left_out:
      return "deltas";
    case Fate::lost_in_rpn_nms:
    case Fate::over_proposals:
      return "nms";
    case Fate::low_score:
    case Fate::dropped:
    case Fate::wrong_class:
    case Fate::poorly_placed:
      return "head";
    default:
      return "detections";
  }
}

/// Which command takes the setting for the object's fate.
std::string_view of_command(const ObjectStory& story) {
  if (!is_of_training(story)) return " of this command";
  if (setting_for(story) == "--epochs") return " of <code>rcnn train</code>";
  return can_be_set(setting_for(story).substr(2)) ? " of <code>rcnn train</code>, which the model keeps; "
                                                    "<code>--set</code> shows here what it changes"
                                                  : " of <code>rcnn train</code>, which the model keeps";
}

/// Entries of a list. Of many, those that are not marked as lost are folded away after the first ones.
class Stories {
 public:
  void add(std::string_view kind, const std::string& html) {
    entries_.emplace_back(kind == "lost", fmt::format("<li class=\"{}\">{}</li>\n", kind, html));
  }
  std::string under(const std::string& heading) const {
    if (entries_.empty()) return "";
    std::string shown, more;
    size_t folded_away = 0;
    for (size_t i = 0; i < entries_.size(); ++i) {
      const bool here = entries_.size() <= kAllShown || i < kFirstShown || entries_[i].first;
      (here ? shown : more) += entries_[i].second;
      folded_away += !here;
    }
    const auto list = [](const std::string& items) {
      return fmt::format("<ul class=\"stories\">\n{}</ul>\n", items);
    };
    return fmt::format("<h3>{}</h3>\n{}{}", heading, list(shown),
                       more.empty() ? "" : folded(fmt::format("{} more", folded_away), list(more)));
  }

 private:
  static constexpr size_t kAllShown = 8, kFirstShown = 6;
  std::vector<std::pair<bool, std::string>> entries_;
};

constexpr size_t kAllBeside = 6;  // so many stories are all beside the picture

/// What stands beside the picture of the result, and what below.
std::pair<std::string, std::string> stories(const Explained& of) {
  Stories objects, detections;
  std::string hidden;
  size_t hidden_count = 0;
  for (const ObjectStory& story : of.told.objects) {
    const bool good = story.fate == Fate::found || story.fate == Fate::not_counted;
    const std::string_view setting = setting_for(story);
    objects.add(good ? "found" : "lost",
                fmt::format("<b>{}</b>{}{}", name_of(story.fate), escape_html(story.sentence),
                            setting.empty() ? ""
                                            : fmt::format("<small>decided in <a href=\"#{0}\">{0}</a>; try "
                                                          "<code>{1}</code>{2}</small>",
                                                          chapter_of(story), setting, of_command(story))));
  }
  for (const DetectionStory& story : of.told.detections) {
    const std::string text = story.verdict.empty() ? escape_html(story.sentence)
                                                   : fmt::format("<b>{}</b>{}", escape_html(story.verdict),
                                                                 escape_html(story.sentence));
    if (story.shown) {
      detections.add(story.verdict.starts_with("false") ? "lost" : "found", text);
      continue;
    }
    ++hidden_count;
    hidden +=
        fmt::format("<li class=\"{}\">{}</li>\n", story.verdict.starts_with("false") ? "lost" : "", text);
  }
  const std::string of_objects = objects.under("What became of each object"),
                    of_detections = detections.under("How each detection came about"),
                    of_hidden = hidden.empty()
                                    ? ""
                                    : folded("Those below the confidence threshold",
                                             fmt::format("<ul class=\"stories\">\n{}</ul>\n", hidden));
  if (of_objects.empty()) return {of_detections, of_hidden};
  if (of.told.objects.size() + of.told.detections.size() - hidden_count <= kAllBeside)
    return {of_objects + of_detections, of_hidden};
  return {of_objects, of_detections + of_hidden};
}

/// A row for each object: from which levels it came, its scores and its proposals.
std::string paths_table(const Explained& of) {
  if (of.told.objects.empty()) return "";
  std::string rows;
  for (const ObjectStory& story : of.told.objects)
    rows += fmt::format("<tr>{}</tr>\n", path_of(of, story).cells);
  return table(
             "<th>object</th><th>best anchor, IoU</th><th>found from</th><th>pooled from</th><th>objectness "
             "→ score</th><th>proposals on it</th>",
             rows, "", of.told.objects.size()) +
         "<p class=\"note\">Three levels, which may differ. The best anchor is the one that overlaps the "
         "object most as anchors were put, before the network moves any. The object was found from the "
         "anchor whose moved box scored best in the end. The region was pooled from the level that suits its "
         "size (<a href=\"#pooling\">pooling</a>). Proposals on it have an IoU of .50 or more with the "
         "object. For an object that was lost, the box that came furthest is shown.</p>\n";
}

/// The result: the detections and, if they are known, the objects, of which the thin dashes are on top.
Drawing overview(const Explained& of) {
  Drawing drawing = of.on_photo();
  for (const DetectionStory& story : of.told.detections) {
    if (!story.shown) continue;
    const StageBox& box = of.classified(of.stages.detections[static_cast<size_t>(story.detection)]);
    drawing.marks.push_back({.at = box.box,
                             .colour = story.verdict.starts_with("false") ? kOrange : kGreen,
                             .width = 3,
                             .text = fmt::format("{}: {}", story.detection + 1, of.named(box))});
  }
  for (size_t i = 0; of.objects != nullptr && i < of.objects->size(); ++i)
    drawing.marks.push_back(
        {.at = of.to_image.size.to_input((*of.objects)[i].box),
         .colour = kWhite,
         .width = 2,
         .dashed = true,
         .text = fmt::format("object {}", i + 1),
         .title = fmt::format("object {} ({})", i + 1, of.class_name((*of.objects)[i].label))});
  return drawing;
}

/// What is to be seen on it, and what there is none of.
std::string overview_caption(const Explained& of, int64_t shown) {
  const bool objects = of.objects != nullptr && !of.objects->empty();
  const std::string none =
      of.stages.detections.empty() ? "Nothing was detected" : "No detection reaches the confidence threshold";
  if (of.objects == nullptr) return shown > 0 ? "The detections." : none + ".";
  if (!objects)
    return (shown > 0 ? "The detections (orange: wrong)" : none) + ". The data has no object on this image.";
  return shown > 0 ? "The detections (green: right, orange: wrong) and the objects (dashed)."
                   : none + ". The objects are dashed.";
}

}  // namespace

ObjectPath path_of(const Explained& of, const ObjectStory& story) {
  const Stages& stages = of.stages;
  const auto level = [&](int anchor) { return level_name(stages, stages.level_of(anchor)); };
  const Object& object = (*of.objects)[static_cast<size_t>(story.object)];
  // The box of the head that stands for the object, and the box before it.
  int classified = story.classified, proposed = story.proposed;
  if (classified < 0 && story.detection >= 0)
    classified = stages.detections[static_cast<size_t>(story.detection)];
  if (classified >= 0) proposed = stages.proposals[static_cast<size_t>(of.classified(classified).source)];
  const int anchor = proposed >= 0 ? of.proposed(proposed).source : story.anchor;
  const auto proposals = std::count_if(stages.proposals.begin(), stages.proposals.end(), [&](int row) {
    return overlap(of.proposed(row).seen, object.box) >= kOnObject;
  });
  ObjectPath path;
  std::string best = "–", from = "–", pooled = "–", before = "–", after = "–";
  if (story.best_anchor >= 0) {
    const std::string name = level(story.best_anchor);
    best = fmt::format("{}&#160;{}", name, share(double{story.anchor_overlap}));
    path.numbers["best_anchor"] = {
        {"anchor", story.best_anchor}, {"level", name}, {"overlap", json_number(story.anchor_overlap)}};
  }
  if (anchor >= 0) {
    from = level(anchor);
    const float objectness = kernels::sigmoid(stages.objectness[static_cast<size_t>(anchor)]);
    before = share(double{objectness});
    path.numbers["found_from"] = {
        {"anchor", anchor}, {"level", from}, {"objectness", json_number(objectness)}};
  }
  if (proposed >= 0 && of.proposed(proposed).place >= 0) {
    pooled = level_name(stages, pooled_level(of, of.proposed(proposed).box));
    path.numbers["pooled_from"] = pooled;
  }
  if (classified >= 0) {
    const StageBox& box = of.classified(classified);
    after = escape_html(box.group == object.label ? of.score_text(box) : of.named(box));
    path.numbers["class"] = of.class_name(box.group);
    path.numbers["score"] = json_number(box.score);
  }
  path.numbers["proposals"] = proposals;
  path.cells =
      fmt::format("<td>{}&#160;{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}&#160;→ {}</td><td>{}</td>",
                  story.object + 1, escape_html(of.class_name(object.label)), best, from, pooled, before,
                  after, proposals);
  return path;
}

std::string explain_result(const Explained& of) {
  const auto shown = std::count_if(of.told.detections.begin(), of.told.detections.end(),
                                   [](const DetectionStory& story) { return story.shown; });
  const auto [beside, below] = stories(of);
  return fmt::format(
      "<div class=\"plates result\">\n<div{}>{}{}</div>\n<div>{}</div>\n</div>\n<div "
      "class=\"below\">{}</div>\n",
      of.told.objects.empty() ? " class=\"stays\"" : "",
      plate_figure({overview(of), overview_caption(of, shown)}, "the detections"), paths_table(of), beside,
      below);
}

}  // namespace rcnn
