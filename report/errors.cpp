// The report's sections on single errors: missed objects, false positives, and the worst images.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "report/html.h"
#include "report/overlay.h"
#include "report/sections.h"

namespace rcnn {
namespace {

constexpr size_t kMaxRemarks = 6;  // the number of remarks under a worst image
constexpr size_t kWorstShown = 6;  // the others are folded
constexpr std::array<const char*, 3> kSizeBounds = {"below 32² pixels", "32² to 96² pixels",
                                                    "96² pixels or more"};

/// The indices of the counts above 0, the largest first.
template <size_t count>
std::vector<size_t> by_frequency(const std::array<int64_t, count>& counts) {
  std::vector<size_t> order;
  for (size_t i = 0; i < count; ++i)
    if (counts[i] > 0) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return counts[a] > counts[b]; });
  return order;
}

template <size_t count>
int64_t sum_of(const std::array<int64_t, count>& counts) {
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

std::string_view size_name(size_t size) { return name_of(static_cast<ObjectSize>(size)); }
std::string cause_name(size_t cause) { return escape_html(name_of(static_cast<MissCause>(cause))); }
std::string kind_name(size_t kind) { return escape_html(name_of(static_cast<FalsePositive>(kind))); }

/// The colours of causes and kinds, "q1" to "q5"; "q0" is what is right. Causes and kinds with the same name
/// have the same colour.
std::string cause_colour(size_t cause) { return fmt::format("q{}", cause + 1); }
std::string kind_colour(size_t kind) {
  static constexpr std::array<const char*, kFalsePositives> kColours = {"q4", "q3", "q5", "q2", "q1"};
  return kColours.at(kind);
}

/// A bar of coloured parts with their counts, of the width `whole`.
class Stack {
 public:
  Stack(int64_t whole, std::string words) : whole_(whole), words_(std::move(words)) {}

  void part(int64_t count, const std::string& colour, const std::string& name) {
    if (count <= 0) return;
    const double share = static_cast<double>(count) / static_cast<double>(whole_);
    // Only a part that is wide enough has its count, or its count and its name, in it.
    const std::string text = share > 0.22   ? fmt::format("{} {}", count, name)
                             : share > 0.05 ? fmt::format("{}", count)
                                            : "";
    parts_ += fmt::format("<b class=\"{}\" style=\"width:{:.2f}%\" title=\"{} {}\">{}</b>", colour,
                          100 * share, count, name, text);
    if (colour != "q0") words_ += fmt::format(", {} {}", count, name);
  }
  std::string render(const std::string& heading) const {
    return fmt::format("<div class=\"stack\"><p>{}</p><div role=\"img\" aria-label=\"{}\">{}</div></div>\n",
                       heading, words_, parts_);
  }

 private:
  int64_t whole_;
  std::string words_, parts_;
};

std::string size_stack(const Diagnosis& diagnosis, size_t size, const std::vector<size_t>& causes) {
  const auto& misses = diagnosis.misses_by_size[size];
  const int64_t objects = diagnosis.objects_by_size[size], missed = sum_of(misses);
  const int64_t found = std::max<int64_t>(0, objects - missed);
  if (objects <= 0) return "";
  Stack stack(std::max(objects, found + missed),
              fmt::format("{} of {} {} objects found", found, objects, size_name(size)));
  stack.part(found, "q0", "found");
  for (const size_t cause : causes) stack.part(misses[cause], cause_colour(cause), cause_name(cause));
  return stack.render(fmt::format("<b>{}</b> {}<span><b>{}</b> of {} found, recall {}</span>",
                                  size_name(size), kSizeBounds[size], found, objects,
                                  percent(static_cast<double>(found) / static_cast<double>(objects))));
}

std::string card(const std::string& colour, const std::string& name, int64_t count, const std::string& where,
                 std::string_view advice) {
  return fmt::format(
      "<div><h3>{}{}<span>{}</span></h3>{}<p>{}</p></div>\n", fmt::format("<i class=\"{}\"></i>", colour),
      name, count, where.empty() ? "" : fmt::format("<p class=\"where\">{}</p>", where), advice_html(advice));
}

std::string cause_card(const Diagnosis& diagnosis, size_t cause, int64_t misses) {
  std::string by_size;
  for (size_t size = 0; size < kSizeBounds.size(); ++size)
    if (const int64_t count = diagnosis.misses_by_size[size][cause]; count > 0)
      by_size += fmt::format("{}{} {}", by_size.empty() ? "" : ", ", count, size_name(size));
  return card(cause_colour(cause), cause_name(cause), misses, by_size,
              advice_for(static_cast<MissCause>(cause)));
}

std::string stacks_and_cards(const std::string& stacks, const std::string& cards) {
  return (stacks.empty() ? "" : fmt::format("<div class=\"stacks\">\n{}</div>\n", stacks)) +
         (cards.empty() ? "" : fmt::format("<div class=\"causes\">\n{}</div>\n", cards));
}

}  // namespace

std::string class_name(const ReportData& data, size_t label) {
  if (label == 0) return "background";
  return label <= data.classes.size() ? escape_html(data.classes[label - 1]) : fmt::format("{}", label);
}

ReportSection misses_section(const ReportData& data) {
  std::string stacks, cards, stages;
  if (data.diagnosis) {
    stages = stages_table(*data.diagnosis);
    std::array<int64_t, kMissCauses> misses{};
    for (const auto& of_size : data.diagnosis->misses_by_size)
      for (size_t cause = 0; cause < misses.size(); ++cause) misses[cause] += of_size[cause];
    const std::vector<size_t> causes = by_frequency(misses);
    for (size_t size = 0; size < kSizeBounds.size(); ++size)
      stacks += size_stack(*data.diagnosis, size, causes);
    for (const size_t cause : causes) cards += cause_card(*data.diagnosis, cause, misses[cause]);
  }
  return {
      "misses", "False negatives: missed objects",
      "Objects by COCO's size ranges, in pixels of the original image. The first part of a bar is found at "
      "the recommended confidence thresholds. The other parts are missed, by cause.",
      stacks_and_cards(stacks, cards) + stages};
}

ReportSection false_positives_section(const ReportData& data) {
  std::string stacks, cards;
  if (data.diagnosis) {
    const auto& wrong = data.diagnosis->false_positives;
    const int64_t right = tally(*data.diagnosis).found, shown = right + sum_of(wrong);
    const std::vector<size_t> kinds = by_frequency(wrong);
    if (shown > 0) {
      Stack stack(shown, fmt::format("{} of {} detections correct", right, shown));
      stack.part(right, "q0", "correct");
      for (const size_t kind : kinds) stack.part(wrong[kind], kind_colour(kind), kind_name(kind));
      stacks =
          stack.render(fmt::format("<b>{}</b> detections<span><b>{}</b> correct, precision {}</span>", shown,
                                   right, percent(static_cast<double>(right) / static_cast<double>(shown))));
    }
    for (const size_t kind : kinds)
      cards += card(kind_colour(kind), kind_name(kind), wrong[kind], "",
                    advice_for(static_cast<FalsePositive>(kind)));
  }
  return {"false-positives", "False positives: wrong detections (false alarms)",
          "The detections that reach the recommended confidence thresholds, by what is wrong with them.",
          stacks_and_cards(stacks, cards)};
}

ReportSection worst_section(const ReportData& data) {
  std::string figures, more;
  for (size_t i = 0; i < data.worst.size(); ++i) {
    const ReportPicture& picture = data.worst[i];
    std::string items, spoken = picture.caption;
    for (size_t r = 0; r < picture.remarks.size(); ++r) {
      if (r < kMaxRemarks) items += fmt::format("<li>{}</li>", escape_html(picture.remarks[r]));
      spoken += "; " + picture.remarks[r];
    }
    if (picture.remarks.size() > kMaxRemarks)
      items += fmt::format("<li>and {} more</li>", picture.remarks.size() - kMaxRemarks);
    if (!items.empty()) items = fmt::format("<ul>{}</ul>", items);
    std::string stories;
    for (const std::string& story : picture.stories)
      stories += fmt::format("<li>{}</li>", escape_html(story));
    if (!stories.empty())
      items += folded("What became of each missed object", fmt::format("<ul>{}</ul>", stories));
    (i < kWorstShown ? figures : more) +=
        picture_figure(picture, spoken, escape_html(picture.caption), items);
  }
  const auto gallery = [](const std::string& body) {
    return body.empty() ? "" : fmt::format("<div class=\"gallery\">\n{}</div>\n", body);
  };
  if (!figures.empty()) figures = picture_key() + gallery(figures);
  if (!more.empty())
    figures += folded(fmt::format("{} more images", data.worst.size() - kWorstShown), gallery(more));
  return {"worst", "Worst images",
          "The images with the most errors at the recommended confidence thresholds, worst first. Look for "
          "what they have in common, and for errors that are in the ground truth: objects that are missing "
          "there or have a misplaced box. A click enlarges an image; the pointer on a box shows what it is.",
          figures};
}

ReportSection examples_section(const ReportData& data) {
  std::string figures;
  for (const ReportPicture& picture : data.examples)
    figures += picture_figure(
        picture, fmt::format("Detections on {}: {}", picture.caption, picture.verdict),
        fmt::format("{}<small>{}</small>", escape_html(picture.caption), escape_html(picture.verdict)));
  if (!figures.empty()) figures = fmt::format("{}<div class=\"sheet\">\n{}</div>\n", picture_key(), figures);
  return {
      "examples", "Example detections",
      "Images spread over the whole split, not chosen by their errors, with the detections that reach the "
      "recommended confidence thresholds and the objects of the ground truth that are missed.",
      figures};
}

}  // namespace rcnn
