// The comparison as text and as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/files/output.h"
#include "core/text.h"
#include "eval/columns.h"
#include "eval/comparison.h"
#include "eval/detect.h"

namespace rcnn {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxName = 32;

std::string plain_figure(double value) { return std::isnan(value) ? "-" : fmt::format("{:.4f}", value); }

std::string interval_text(const Difference& d) {
  return fmt::format("{} to {}", signed_figure(d.low), signed_figure(d.high));
}

std::string row(std::string_view name, size_t width, const Difference& d) {
  return fmt::format("{}  {:>7}  {:>7}  {:>8}  {:<18}  {}\n", fit(name, width), plain_figure(d.a),
                     plain_figure(d.b), signed_figure(d.b - d.a), d.has_interval() ? interval_text(d) : "-",
                     d.better());
}

Json as_json(const Difference& d) {
  const auto number = [](double value) { return std::isnan(value) ? Json(nullptr) : Json(value); };
  return {{"a", number(d.a)},
          {"b", number(d.b)},
          {"difference", number(d.b - d.a)},
          {"low", number(d.low)},
          {"high", number(d.high)}};
}

}  // namespace

std::string Difference::better() const {
  if (std::isnan(a)) return "no objects";
  if (is_equal()) return "equal";
  if (!has_interval()) return "too few images";
  return b_is_better() ? "B" : a_is_better() ? "A" : "undecided";
}

std::string signed_figure(double value, int digits) {
  if (std::isnan(value)) return "-";
  const std::string text = fmt::format("{:+.{}f}", value, digits);
  return text.find_first_of("123456789") == std::string::npos ? text.substr(1) : text;  // 0 without a sign
}

std::string verdict(const Comparison& comparison) {
  const Difference& d = comparison.figures.front();
  if (std::isnan(d.a)) return "The images have no objects, so there is nothing to compare.";
  const auto equal = [](const Difference& each) { return std::isnan(each.a) || each.is_equal(); };
  if (comparison.won.empty() && comparison.lost.empty() &&
      std::all_of(comparison.figures.begin(), comparison.figures.end(), equal) &&
      std::all_of(comparison.classes.begin(), comparison.classes.end(), equal))
    return "A and B are the same on these images: all figures are equal, and so are the errors on each "
           "image.";
  if (!d.has_interval())
    return fmt::format(
        "The data cannot tell A and B apart: fewer than {} images have objects, which is too few for an "
        "interval of the difference.",
        kMinComparedImages);
  if (d.is_equal())
    return fmt::format(
        "The data cannot tell A and B apart by mAP@.5: it is {:.4f} for both, and equal on every draw of the "
        "images. They differ in other figures or in their errors.",
        d.a);
  if (!d.a_is_better() && !d.b_is_better())
    return fmt::format(
        "The data cannot tell A and B apart: the 95 % interval of the difference in mAP@.5, {}, contains 0.",
        interval_text(d));
  return fmt::format(
      "{} is better than {}: its mAP@.5 is higher by {:.4f}, and the 95 % interval of B - A, {}, "
      "does not contain 0.",
      d.b_is_better() ? "B" : "A", d.b_is_better() ? "A" : "B", std::abs(d.b - d.a), interval_text(d));
}

std::string images_sentence(const Comparison& comparison) {
  return fmt::format(
      "B makes fewer errors on {} of {} images and A on {}; on {} they make equally many. Errors are missed "
      "objects and wrong detections, each at its own recommended confidence thresholds.",
      comparison.won.size(), comparison.images, comparison.lost.size(),
      comparison.images - comparison.won.size() - comparison.lost.size());
}

std::string comparison_text(const Comparison& comparison, const Dataset& dataset) {
  size_t width = 0;
  for (const ComparedFigure& figure : kComparedFigures) width = std::max(width, columns_of(figure.words));
  for (size_t c = 0; c < dataset.classes.size(); ++c)
    if (!std::isnan(comparison.classes[c].a))
      width = std::max(width, std::min(kMaxName, columns_of(printable(dataset.classes[c]))));
  std::string text = fmt::format("{}  {:>7}  {:>7}  {:>8}  {:<18}  better\n", fit("", width), "A", "B",
                                 "B - A", "95 % interval");
  for (size_t i = 0; i < kComparedFigures.size(); ++i)
    text += row(kComparedFigures[i].words, width, comparison.figures[i]);
  std::string rows;
  for (size_t c = 0; c < dataset.classes.size(); ++c)
    if (!std::isnan(comparison.classes[c].a))
      rows += row(printable(dataset.classes[c]), width, comparison.classes[c]);
  if (!rows.empty()) text += "\nAP@.5 of each class\n" + rows;
  return text + "\n" + wrapped(verdict(comparison), "") + wrapped(images_sentence(comparison), "");
}

Json to_json(const Comparison& comparison, const Dataset& dataset) {
  Json json;
  json["info"] = kWrittenHere;
  json["images"] = comparison.images;
  json["unreadable_images"] = count_unreadable(dataset.faults);
  json["resamples"] = kResamples;
  for (size_t i = 0; i < kComparedFigures.size(); ++i)
    json["figures"][kComparedFigures[i].key] = as_json(comparison.figures[i]);
  json["ap50"] = Json::object();
  for (size_t c = 0; c < dataset.classes.size(); ++c)
    if (!std::isnan(comparison.classes[c].a))
      json["ap50"][dataset.classes[c]] = as_json(comparison.classes[c]);
  json["verdict"] = verdict(comparison);
  const auto list = [&](const std::vector<int>& images) {
    Json entries = Json::array();
    for (const int image : images) {
      const auto i = static_cast<size_t>(image);
      entries.push_back({{"image", dataset.samples.at(i).id},
                         {"errors_a", errors_of(comparison.a.at(i))},
                         {"errors_b", errors_of(comparison.b.at(i))}});
    }
    return entries;
  };
  json["won_by_b"] = list(comparison.won);
  json["won_by_a"] = list(comparison.lost);
  return json;
}

}  // namespace rcnn
