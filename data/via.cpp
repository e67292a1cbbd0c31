// VGG Image Annotator (VIA 1 and 2): {"a.jpg123": {"filename", "regions": [{"shape_attributes",
// "region_attributes"}]}}, alone or as "_via_img_metadata" of a saved project. Regions may also be a map, as
// VIA 1 writes them. The class is the value of the only attribute of the regions, or else of the one that is
// called as below.
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/text.h"
#include "data/files.h"
#include "data/json_file.h"
#include "data/label_forms.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;
using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

/// Names that attributes of regions have when they are the class, the best first.
constexpr std::string_view kClassAttributes[] = {"class", "label", "name", "category", "type", "object"};

std::optional<object> object_at(const element& value, std::string_view key) {
  object found;
  if (value.at_key(key).get(found) != simdjson::SUCCESS) return std::nullopt;
  return found;
}

/// The images of a file.
std::optional<object> images_of(const element& root) {
  if (const std::optional<object> images = object_at(root, "_via_img_metadata")) return images;
  object images;
  if (root.get(images) != simdjson::SUCCESS || images.size() == 0) return std::nullopt;
  for (const auto& [key, image] : images)
    if (!image.is_object() || !image.at_key("filename").is_string() ||
        image.at_key("regions").error() != simdjson::SUCCESS)
      return std::nullopt;
  return images;
}

std::vector<element> regions_of(const element& image) {
  std::vector<element> regions;
  if (array list; image.at_key("regions").get(list) == simdjson::SUCCESS)
    for (const element& region : list) regions.push_back(region);
  if (object map; image.at_key("regions").get(map) == simdjson::SUCCESS)
    for (const auto& [key, region] : map) regions.push_back(region);
  return regions;
}

/// The attribute whose value is the class. Throws InputError if that is not clear.
std::string class_attribute(const fs::path& file, const object& images) {
  std::set<std::string> names;
  for (const auto& [key, image] : images)
    for (const element& region : regions_of(image))
      if (const std::optional<object> attributes = object_at(region, "region_attributes"))
        for (const auto& [name, value] : *attributes) names.emplace(name);
  if (names.size() == 1) return *names.begin();
  for (const std::string_view usual : kClassAttributes)
    for (const std::string& name : names)
      if (lower_case(name) == usual) return name;
  check_input(names.empty(),
              "{} gives its regions the attributes {}; none of them is called class, label, name, category, "
              "type or object, so it is not clear which is the class.",
              file.string(), printable(fmt::format("{}", fmt::join(names, ", "))));
  return {};
}

/// The value of an attribute: a text, or the options of which one is chosen.
std::string value_of(const element& region, const std::string& attribute) {
  const std::optional<object> attributes = object_at(region, "region_attributes");
  element value;
  if (!attributes || attributes->at_key(attribute).get(value) != simdjson::SUCCESS) return {};
  if (std::string_view text; value.get(text) == simdjson::SUCCESS) return std::string(text);
  std::string chosen;
  if (object options; value.get(options) == simdjson::SUCCESS)
    for (const auto& [option, is_chosen] : options)
      if (bool yes = false; is_chosen.get(yes) == simdjson::SUCCESS && yes)
        chosen.append(chosen.empty() ? "" : ",").append(option);
  return chosen;
}

std::optional<double> number_at(const object& shape, std::string_view key) {
  element value;
  if (shape.at_key(key).get(value) != simdjson::SUCCESS) return std::nullopt;
  return number_in(value);
}

/// The size of the image's file; 0 if the entry gives none (VIA writes -1 for an image from the network).
int64_t bytes_of(const element& entry) {
  element value;
  if (entry.at_key("size").get(value) != simdjson::SUCCESS) return 0;
  const std::optional<int64_t> bytes = whole_number_in(value);
  return bytes && *bytes > 0 ? *bytes : 0;
}

std::optional<BoxOf<double>> box_of(const object& shape, std::string_view kind) {
  const auto at = [&](std::string_view key) { return number_at(shape, key); };
  if (kind == "polygon") {
    array xs, ys;
    if (shape.at_key("all_points_x").get(xs) != simdjson::SUCCESS ||
        shape.at_key("all_points_y").get(ys) != simdjson::SUCCESS || xs.size() != ys.size())
      return std::nullopt;
    PointBounds bounds;
    auto y = ys.begin();
    for (const element& x : xs) {
      bounds.add(number_in(x), number_in(*y));
      ++y;
    }
    return bounds.box();
  }
  const bool is_rect = kind == "rect", is_circle = kind == "circle";
  const auto x = at(is_rect ? "x" : "cx"), y = at(is_rect ? "y" : "cy");
  const auto w = at(is_rect ? "width" : is_circle ? "r" : "rx");
  const auto h = at(is_rect ? "height" : is_circle ? "r" : "ry");
  if (!x || !y || !w || !h) return std::nullopt;
  if (is_rect) return BoxOf<double>{*x, *y, *x + *w, *y + *h};
  const double theta = at("theta").value_or(0);  // of an ellipse that is turned
  const double half_w = std::hypot(*w * std::cos(theta), *h * std::sin(theta));
  const double half_h = std::hypot(*w * std::sin(theta), *h * std::cos(theta));
  return BoxOf<double>{*x - half_w, *y - half_h, *x + half_w, *y + half_h};
}

}  // namespace

bool is_via_file(const fs::path& file) try {
  if (lower_case(file.extension().string()) != ".json") return false;
  const JsonFile document(file);
  return images_of(document.root()).has_value();
} catch (const InputError&) {
  return false;
}

LabelledFile read_via(const fs::path& file) {
  const JsonFile document(file);
  const std::optional<object> images = images_of(document.root());
  check_input(images.has_value(), "{} has no images with \"filename\" and \"regions\"; expected VIA's JSON.",
              file.string());
  const std::string attribute = class_attribute(file, *images);
  LabelCollector labels(file);
  size_t unnamed = 0;
  for (const auto& [key, entry] : *images) {
    std::string_view name;
    if (entry.at_key("filename").get(name) != simdjson::SUCCESS || trim(name).empty()) {
      labels.report(fmt::format("'{}'", printable(key)), "has no filename; it is skipped");
      continue;
    }
    if (const int64_t bytes = bytes_of(entry); labels.has_image(std::string(trim(name)), bytes))
      labels.report(printable(name),
                    bytes > 0
                        ? fmt::format("has several entries of {} bytes; the regions of all are used", bytes)
                        : "has several entries without the size of its file; the regions of all are used",
                    FaultKind::repeated);
    Annotation& image = labels.image(std::string(trim(name)), {}, false, bytes_of(entry));
    size_t number = 0;
    for (const element& region : regions_of(entry)) {
      if (attribute.empty() && ++unnamed > 0) continue;
      const std::string what = fmt::format("{}, region {}", printable(name), ++number);
      const std::optional<object> shape = object_at(region, "shape_attributes");
      std::string_view kind;
      if (!shape || shape->at_key("name").get(kind) != simdjson::SUCCESS) {
        labels.report(what, "has no shape; it is skipped");
        continue;
      }
      if (kind != "rect" && kind != "polygon" && kind != "circle" && kind != "ellipse") {
        labels.report(what, fmt::format("is a {}, which gives no box; it is skipped", printable(kind)));
        continue;
      }
      if (const std::optional<BoxOf<double>> box = box_of(*shape, kind))
        labels.add(image, value_of(region, attribute), *box, what);
      else
        labels.report(what, "lacks a coordinate, or has one that is not a number; it is skipped");
    }
  }
  if (unnamed > 0)
    labels.report(fmt::format("its {} regions", unnamed),
                  "have no attributes, so that no box has a class, and are skipped; in VIA, give them an "
                  "attribute called class",
                  FaultKind::no_class);
  return labels.take();
}

}  // namespace rcnn
