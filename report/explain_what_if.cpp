// What if a setting were another one: the settings that a trained model can change, and the chapter that
// compares a second run on the same photograph with the first, stage by stage.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "eval/matching.h"
#include "kernels/loss/loss_math.h"
#include "report/explain_parts.h"
#include "report/html.h"

namespace rcnn {
namespace {

/// Those that detection reads, and that neither the weights nor the numbers of their outputs depend on.
constexpr std::array<std::string_view, 14> kDetectionSettings = {"short-side",
                                                                 "long-side",
                                                                 "rpn-pre-nms-top-n-test",
                                                                 "rpn-post-nms-top-n-test",
                                                                 "rpn-nms-thresh",
                                                                 "rpn-score-thresh",
                                                                 "rpn-min-size",
                                                                 "box-sampling-ratio",
                                                                 "box-canonical-size",
                                                                 "box-canonical-level",
                                                                 "box-score-thresh",
                                                                 "box-nms-thresh",
                                                                 "box-detections-per-img",
                                                                 "box-min-size"};

constexpr double kSameObject = 0.5;    // IoU of two detections of one class that are for the same thing
constexpr double kSameProposal = 0.9;  // IoU of two proposals that differ in nothing that matters
constexpr size_t kBoxesShown = 40;

using Lines = std::vector<std::pair<std::string, std::string>>;

/// "dog .93 at (12.0, 40.5, 88.1, 120.3)", in pixels of the photograph.
std::string named_box(const Explained& of, const StageBox& box) {
  return fmt::format("{} at {}", of.named(box), box_text(box.seen));
}

const StageBox& detection(const Explained& of, int place) {
  return of.classified(of.stages.detections[static_cast<size_t>(place)]);
}

/// What each stage made, a line for each number. The lines of two runs have the same names.
Lines stage_lines(const Explained& of) {
  const Stages& stages = of.stages;
  const NmsCounts counts = count_nms(stages);
  int64_t made = 0, suppressed = 0, shown = 0, covered = 0;
  for (const StageBox& box : stages.classified) made += box.used(), suppressed += box.killer >= 0;
  for (const int row : stages.detections) shown += of.is_shown(of.classified(row));
  Lines lines = {{"network's input", fmt::format("{} x {}", of.to_image.size.width, of.to_image.size.height)},
                 {"anchors", fmt::format("{}", stages.anchors.size())},
                 {"boxes that are among the best of their levels", fmt::format("{}", counts.taken)},
                 {"left out because of size or objectness", fmt::format("{}", counts.left_out)},
                 {"suppressed by better proposals", fmt::format("{}", counts.suppressed)},
                 {"cut, after the last proposal wanted", fmt::format("{}", counts.cut)},
                 {"proposals", fmt::format("{}", counts.kept)}};
  if (stages.proposals.empty()) {
    lines.emplace_back("best proposal", "none");
  } else {
    const StageBox& best = of.proposed(stages.proposals.front());
    lines.emplace_back(
        "best proposal",
        fmt::format("objectness {} at {}", share(double{kernels::sigmoid(best.score)}), box_text(best.seen)));
  }
  if (of.objects != nullptr) {
    for (const Object& object : *of.objects)
      covered += std::any_of(stages.proposals.begin(), stages.proposals.end(), [&](int row) {
        return overlap(of.proposed(row).seen, object.box) >= kSameObject;
      });
    lines.emplace_back("objects that a proposal overlaps by an IoU of .50 or more",
                       fmt::format("{} of {}", covered, of.objects->size()));
  }
  lines.emplace_back("boxes that the head made", fmt::format("{}", made));
  lines.emplace_back("suppressed by better ones of their class", fmt::format("{}", suppressed));
  lines.emplace_back("detections", fmt::format("{}", stages.detections.size()));
  lines.emplace_back("detections that reach the confidence threshold", fmt::format("{}", shown));
  lines.emplace_back("best detection", stages.detections.empty() ? "none" : named_box(of, detection(of, 0)));
  return lines;
}

std::string stages_table(const Lines& before, const Lines& after, nlohmann::ordered_json& numbers) {
  std::string rows;
  for (size_t i = 0; i < before.size(); ++i) {
    const auto& [what, first] = before[i];
    const std::string& second = after[i].second;
    rows += fmt::format("<tr{}><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                        first == second ? "" : " class=\"changed\"", escape_html(what), escape_html(first),
                        escape_html(second));
    numbers["stages"].push_back({{"stage", what}, {"before", first}, {"after", second}});
  }
  return table("<th>stage</th><th>as the model is</th><th>with these settings</th>", rows, "", 1);
}

/// The places of the shown detections of `of` that are not in `other`: none of its shown detections is of the
/// same class, overlaps them by kSameObject and belongs to no better one.
std::vector<int> missing_in(const Explained& of, const Explained& other) {
  std::vector<int> missing;
  std::vector<bool> taken(other.stages.detections.size());
  for (int place = 0; place < std::ssize(of.stages.detections); ++place) {
    const StageBox& box = detection(of, place);
    if (!of.is_shown(box)) continue;
    int best = -1;
    double most = kSameObject;
    for (int i = 0; i < std::ssize(taken); ++i) {
      const StageBox& candidate = detection(other, i);
      if (taken[static_cast<size_t>(i)] || candidate.group != box.group || !other.is_shown(candidate))
        continue;
      const double with = overlap(candidate.seen, box.seen);
      if (with > most || (best < 0 && with == most)) best = i, most = with;
    }
    if (best < 0)
      missing.push_back(place);
    else
      taken[static_cast<size_t>(best)] = true;
  }
  return missing;
}

/// Why a detection of another run is not one of this run.
std::string reason_missing(const StageBox& lost, const Explained& in) {
  int closest = -1;
  double most = kSameObject;
  for (int i = 0; i < std::ssize(in.stages.classified); ++i) {
    const StageBox& box = in.classified(i);
    if (box.group != lost.group || !box.used()) continue;
    const double with = overlap(box.seen, lost.seen);
    if (with > most || (closest < 0 && with == most)) closest = i, most = with;
  }
  if (closest < 0) {
    double proposed = 0;
    for (const int row : in.stages.proposals)
      proposed = std::max(proposed, overlap(in.proposed(row).seen, lost.seen));
    if (proposed >= kSameObject)
      return fmt::format("a proposal overlaps it by {}, but the head made no such box of it",
                         share(proposed));
    return fmt::format("no proposal overlaps it by more than {}", share(proposed));
  }
  const StageBox& box = in.classified(closest);
  const std::string scored = fmt::format("its box scores {}", in.score_text(box));
  if (box.killer >= 0) {
    const StageBox& killer = in.classified(box.killer);
    const Compared ious = compared(double{box.killer_overlap}, double{in.config().box_nms_thresh});
    return fmt::format("{} and is suppressed by detection {} ({}), IoU {} > {}", scored, killer.place + 1,
                       in.named(killer), ious.a, ious.b);
  }
  if (box.place < 0)
    return fmt::format("{} and is cut, because at most {} are kept (box-detections-per-img)", scored,
                       in.config().box_detections_per_img);
  if (!in.is_shown(box)) {
    const Compared scores =
        compared(double{box.score}, double{in.thresholds[static_cast<size_t>(box.group - 1)]});
    return fmt::format("it is detection {}, but {} is below the confidence threshold {}", box.place + 1,
                       scores.a, scores.b);
  }
  return fmt::format("the closest one, detection {}, stands for another detection", box.place + 1);
}

/// An entry for each detection of `of` that `other` lacks.
std::string missing_list(const Explained& of, const Explained& other, const std::vector<int>& missing,
                         std::string_view word, nlohmann::ordered_json& numbers) {
  std::string list;
  numbers = nlohmann::ordered_json::array();
  for (const int place : missing) {
    const StageBox& box = detection(of, place);
    const std::string sentence =
        fmt::format("detection {} ({}): {} {}", place + 1, named_box(of, box),
                    word == "lost" ? "with these settings" : "as the model is,", reason_missing(box, other));
    list += fmt::format("<li class=\"{}\"><b>{}</b>{}</li>\n", word == "lost" ? "lost" : "found", word,
                        escape_html(sentence));
    numbers.push_back({{"detection", place + 1}, {"box", json_box(box.seen)}, {"sentence", sentence}});
  }
  return list;
}

/// The objects of which the runs tell different stories.
std::string differing_stories(const Explained& of, const Explained& other, nlohmann::ordered_json& numbers) {
  std::string list;
  numbers = nlohmann::ordered_json::array();
  for (size_t i = 0; i < of.told.objects.size(); ++i) {
    const ObjectStory &a = of.told.objects[i], &b = other.told.objects[i];
    if (a.sentence == b.sentence && a.fate == b.fate) continue;
    const bool gained = b.fate == Fate::found && a.fate != Fate::found,
               lost = a.fate == Fate::found && b.fate != Fate::found;
    list += fmt::format("<li class=\"{}\"><b>{}</b>{}<small>as the model is: {}</small></li>\n",
                        gained ? "found"
                        : lost ? "lost"
                               : "",
                        a.fate == b.fate ? std::string(name_of(b.fate))
                                         : fmt::format("{} → {}", name_of(a.fate), name_of(b.fate)),
                        escape_html(b.sentence), escape_html(a.sentence));
    numbers.push_back({{"object", a.object + 1},
                       {"before", {{"fate", name_of(a.fate)}, {"sentence", a.sentence}}},
                       {"after", {{"fate", name_of(b.fate)}, {"sentence", b.sentence}}}});
  }
  return list;
}

/// The proposals of `of`, as indices of their places, that are not in `other`.
std::vector<int> proposals_missing_in(const Explained& of, const Explained& other) {
  std::vector<int> missing;
  for (int place = 0; place < std::ssize(of.stages.proposals); ++place) {
    const Box& box = of.proposed(of.stages.proposals[static_cast<size_t>(place)]).seen;
    if (std::none_of(other.stages.proposals.begin(), other.stages.proposals.end(),
                     [&](int row) { return overlap(other.proposed(row).seen, box) >= kSameProposal; }))
      missing.push_back(place);
  }
  return missing;
}

/// The best proposals that only this run has; `all`, how many there are.
Plate proposals_plate(const Explained& of, const std::vector<int>& only, Colour colour,
                      const std::string& run) {
  Drawing drawing = of.on_photo();
  const size_t shown = std::min(kBoxesShown, only.size());
  for (size_t i = shown; i-- > 0;)
    drawing.marks.push_back({.at = of.proposed(of.stages.proposals[static_cast<size_t>(only[i])]).box,
                             .colour = colour,
                             .width = 1.5f,
                             .title = fmt::format("proposal {}", only[i] + 1)});
  return {std::move(drawing),
          fmt::format("{}: {} of {} proposals have no equal among those of the other run{}.", run,
                      only.size(), of.stages.proposals.size(),
                      shown < only.size() ? fmt::format(" (the best {} are drawn)", shown) : "")};
}

/// The shown detections; those that only this run has in `colour`.
Plate detections_plate(const Explained& of, const std::vector<int>& only, Colour colour,
                       const std::string& run) {
  Drawing drawing = of.on_photo();
  int64_t shown = 0;
  for (int place = 0; place < std::ssize(of.stages.detections); ++place) {
    const StageBox& box = detection(of, place);
    if (!of.is_shown(box)) continue;
    ++shown;
    const bool alone = std::find(only.begin(), only.end(), place) != only.end();
    drawing.marks.push_back({.at = box.box,
                             .colour = alone ? colour : kBlue,
                             .width = 3,
                             .text = fmt::format("{}: {}", place + 1, of.named(box))});
  }
  return {std::move(drawing), fmt::format("{}: {} shown, of which the other run has {}.", run,
                                          shown == 1 ? "1 detection" : fmt::format("{} detections", shown),
                                          shown - std::ssize(only))};
}

/// "0.5", or that the classes have different thresholds.
std::string thresholds_text(const Explained& of) {
  for (const float threshold : of.thresholds)
    if (threshold != of.thresholds.front()) return "the threshold that the model recommends for each class";
  return of.thresholds.empty() ? "none" : format_value(of.thresholds.front());
}

/// "rpn-nms-thresh = 0.5 instead of 0.7", and whether nothing is different.
std::pair<std::string, bool> settings_text(const Explained& of, const Explained& other,
                                           const WhatIf& what_if) {
  std::string text;
  bool same = true;
  const auto usual = list_fields(of.config(), model_fields()),
             changed = list_fields(other.config(), model_fields());
  for (const auto& [key, value] : what_if.settings) {
    const auto in = [&, name = key](const auto& list) {
      const auto field =
          std::find_if(list.begin(), list.end(), [&](const auto& entry) { return entry.first == name; });
      return field->second;
    };
    const bool score = key == "score";
    const std::string before = score ? thresholds_text(of) : in(usual),
                      after = score ? thresholds_text(other) : in(changed);
    text += fmt::format("{}{} = {}{}", text.empty() ? "" : ", ", key, after,
                        before == after ? ", as before" : " instead of " + before);
    same = same && before == after;
  }
  return {text, same};
}

}  // namespace

bool can_be_set(std::string_view key) {
  return std::find(kDetectionSettings.begin(), kDetectionSettings.end(), key) != kDetectionSettings.end();
}

WhatIf parse_what_if(const ModelConfig& config, const std::vector<std::string>& settings) {
  WhatIf what_if{{}, config, {}};
  bool long_side = false;
  for (const std::string& setting : settings) {
    const size_t equals = setting.find('=');
    check_input(equals != std::string::npos && equals > 0,
                "--set '{}': expected a setting and its value, as in --set rpn-nms-thresh=.5", setting);
    const std::string key = setting.substr(0, equals), value = setting.substr(equals + 1);
    for (const auto& [earlier, text] : what_if.settings)
      check_input(earlier != key, "--set {}: the setting is given twice, as '{}' and '{}'", key, text, value);
    what_if.settings.emplace_back(key, value);
    if (key == "score") {
      what_if.score.emplace();
      parse_value("--set score", value, *what_if.score);
      check_range("--set score", double{*what_if.score}, 0, 1);
      continue;
    }
    const auto fields = model_fields();
    const bool exists = std::any_of(fields.begin(), fields.end(),
                                    [&](const Field<ModelConfig>& field) { return field.key == key; });
    std::string all = "score";
    for (const std::string_view name : kDetectionSettings) all += fmt::format(", {}", name);
    check_input(can_be_set(key), "--set {}: {}; expected one of {}", key,
                exists ? "a trained model cannot change this setting: it counts in training only, or its "
                         "weights depend on it"
                       : "there is no such setting",
                all);
    long_side = long_side || key == "long-side";
    set_field(what_if.config, model_fields(), key, value);
  }
  if (!long_side) {  // it keeps its proportion, as in training
    const int64_t pixels = std::exchange(what_if.config.short_side, config.short_side);
    set_short_side(what_if.config, pixels);
  }
  return what_if;
}

Chapter explain_what_if(const Explained& of, const Explained& other, const WhatIf& what_if) {
  const auto [settings, same] = settings_text(of, other, what_if);
  const size_t found = other.stages.detections.size();
  Chapter chapter{
      .id = "what-if",
      .title = "What if",
      .text = fmt::format(
          "The same photograph again, with {}.{} Rows of the table that differ are marked. Two detections "
          "are taken for the same one if their class is the same and their IoU is {} or more; two "
          "proposals, if it is {} or more.",
          escape_html(settings), same ? " The model has these values already: nothing changes." : "",
          share(kSameObject), share(kSameProposal)),
      .shape = fmt::format("{} {} instead of {}", found, found == 1 ? "detection" : "detections",
                           of.stages.detections.size()),
      .source = {"eval/biography.cpp", "tell_biographies"},
      .paper = "Faster R-CNN, section 3.3"};
  for (const auto& [key, value] : what_if.settings) chapter.numbers["settings"][key] = value;
  const std::string before = "As the model is", after = "With these settings";
  chapter.more = stages_table(stage_lines(of), stage_lines(other), chapter.numbers);

  const std::vector<int> proposals_lost = proposals_missing_in(of, other),
                         proposals_gained = proposals_missing_in(other, of);
  chapter.numbers["proposals"] = {{"lost", proposals_lost.size()}, {"gained", proposals_gained.size()}};
  chapter.plates.push_back(proposals_plate(of, proposals_lost, kOrange, before));
  chapter.plates.push_back(proposals_plate(other, proposals_gained, kGreen, after));
  const std::vector<int> lost = missing_in(of, other), gained = missing_in(other, of);
  chapter.plates.push_back(detections_plate(of, lost, kOrange, before));
  chapter.plates.push_back(detections_plate(other, gained, kGreen, after));

  const std::string detections =
      missing_list(of, other, lost, "lost", chapter.numbers["detections"]["lost"]) +
      missing_list(other, of, gained, "gained", chapter.numbers["detections"]["gained"]);
  chapter.more += fmt::format(
      "<h3>Detections lost and gained</h3>\n{}",
      detections.empty() ? "<p>None: each detection that is shown has its equal in the other run.</p>\n"
                         : fmt::format("<ul class=\"stories\">\n{}</ul>\n", detections));
  if (of.objects != nullptr) {
    const std::string stories = differing_stories(of, other, chapter.numbers["objects"]);
    chapter.more += fmt::format(
        "<h3>Objects of which the story differs</h3>\n{}",
        stories.empty() ? "<p>None.</p>\n" : fmt::format("<ul class=\"stories\">\n{}</ul>\n", stories));
  }
  return chapter;
}

}  // namespace rcnn
