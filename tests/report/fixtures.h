// A report with all its parts, and its page parsed into a tree.
#pragma once

#include <limits>
#include <pugixml.hpp>
#include <string>

#include "report/report.h"
#include "tests/data/fixtures.h"

namespace rcnn::fixtures {

inline constexpr const char* kHostile = "<script src='http://x'>\"&\x01";
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

inline ClassResult some_class(const std::string& name) {
  ClassResult result;
  result.name = name;
  result.truths = 3;
  result.detections = 4;
  result.ap_area = 0.75;
  result.ap_11point = 0.5;
  result.precision = {1, 0.5F, 2.0F / 3};
  result.recall = {0.33F, 0.33F, 0.67F};
  result.score = {0.9F, 0.8F, 0.7F};
  return result;
}

inline DataSummary some_summary(const std::string& text) {
  DataSummary summary;
  summary.split = text;
  summary.images = 7;
  summary.without_objects = 1;
  summary.boxes = 4;
  summary.ignored = 2;
  summary.classes = {{text, 3, 2}, {"nothing", 1, 1}};
  summary.min_width = 320, summary.min_height = 200;
  summary.median_width = 640, summary.median_height = 480;
  summary.max_width = 1024, summary.max_height = 768;
  summary.sizes = {10, 20, 40, 41};
  summary.anchor_overlaps = {0.3F, 0.6F, 0.7F, 1};
  summary.poorly_covered = 0.25;
  summary.advice = {text};
  return summary;
}

/// A curve with three thresholds, of which the middle one is the best.
inline ScoreCurve some_curve() {
  return {{0, 0.5F, 1}, {0.25F, 0.75F, 1}, {1, 0.625F, 0}, {0.4F, 0.682F, 0}, 0.5F, 0.682F};
}

/// Two classes; 20 objects, 7 of them missed; 19 detections, 6 of them wrong.
inline Diagnosis some_diagnosis() {
  Diagnosis diagnosis;
  diagnosis.all = some_curve();
  diagnosis.classes = {some_curve(), ScoreCurve{{0, 0.5F, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}}};
  diagnosis.confusion = {{0, 3, 1}, {5, 9, 2}, {0, 0, 4}};
  diagnosis.misses_by_size = {{{4, 0, 0, 0, 0}, {0, 0, 0, 2, 0}, {0, 1, 0, 0, 0}}};
  diagnosis.objects_by_size = {8, 10, 2};
  diagnosis.false_positives = {2, 1, 1, 0, 2};
  return diagnosis;
}

/// A picture with a box of each kind.
inline ReportPicture some_picture(const std::string& text) {
  ReportPicture picture{smooth_image(40, 30), text, {text, text}, {}, text};
  for (const BoxKind kind :
       {BoxKind::correct, BoxKind::wrong, BoxKind::missed, BoxKind::truth, BoxKind::ignored})
    picture.boxes.push_back({{5, 5, 20, 20}, kind, text, text});
  return picture;
}

/// Data for every part of the page, with `text` as every text.
inline ReportData full_report(const std::string& text) {
  ReportData data;
  data.title = data.subtitle = data.evaluated_on = text;
  data.highlights = data.facts = data.verbatim_facts = data.settings = {{text, text}};
  data.losses = {{text, {{1, 3}, {2, kNan}, {3, 1}}}, {text, {{1, 2}, {2, 1}}}};
  data.validation = {{text, {{2, 0.5}}}, {text, {{2, 0.25}}}};
  data.learning_rate = {text, {{1, 0.01}, {3, 0.001}}};
  data.result.classes = {some_class(text), some_class("nothing")};
  data.result.classes[1].truths = 0;
  data.result.map_area = 0.75;
  data.result.map_11point = 0.5;
  data.examples = {some_picture(text)};
  data.faults = {{text, text}};
  data.classes = {text, "nothing"};
  data.summaries = {some_summary(text), some_summary(text)};
  data.anchor_sizes = {{16}, {32, 64}};
  data.augmented = {some_picture(text)};
  data.coco_figures = {{text, 0.375}, {text, -1}, {text, 0.5}};
  data.diagnosis = some_diagnosis();
  data.good = {some_picture(text), some_picture(text)};
  data.worst = {some_picture(text)};
  return data;
}

/// Parses the page. Fails the test if the page is not well-formed.
inline void parse(const std::string& page, pugi::xml_document& document) {
  const pugi::xml_parse_result result = document.load_string(page.c_str());
  CAPTURE(result.description());
  CAPTURE(page.substr(static_cast<size_t>(std::max<ptrdiff_t>(0, result.offset - 80)), 160));
  REQUIRE(result.status == pugi::status_ok);
}

inline size_t count_of(const pugi::xml_document& document, const char* xpath) {
  return document.select_nodes(xpath).size();
}

/// All text within the elements that match.
inline std::string all_text(const pugi::xml_document& document, const std::string& xpath) {
  std::string text;
  for (const auto& node : document.select_nodes((xpath + "//text()").c_str())) text += node.node().value();
  return text;
}

inline std::string text_at(const pugi::xml_document& document, const std::string& xpath) {
  const pugi::xpath_node found = document.select_node(xpath.c_str());
  CAPTURE(xpath);
  REQUIRE(found);
  return found.node().text().get();
}

}  // namespace rcnn::fixtures
