// CVAT's XML for images (version 1.1):
// <annotations><image name width height><box label xtl ytl xbr ybr/><polygon label points/>...</image>
#include <charconv>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/text.h"
#include "data/files.h"
#include "data/label_forms.h"
#include "data/xml.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

std::optional<double> number_in(std::string_view text) {
  text = trim(text);
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool good = error == std::errc() && end == text.data() + text.size() && std::isfinite(number);
  return good ? std::optional(number) : std::nullopt;
}

std::optional<double> number_in(pugi::xml_node node, const char* attribute) {
  return number_in(std::string_view(node.attribute(attribute).value()));
}

/// The box around "x,y;x,y;...".
std::optional<BoxOf<double>> around_points(std::string_view text) {
  PointBounds bounds;
  while (!(text = trim(text)).empty()) {
    const std::string_view point = text.substr(0, text.find(';'));
    const size_t comma = point.find(',');
    if (comma == std::string_view::npos) return std::nullopt;
    bounds.add(number_in(point.substr(0, comma)), number_in(point.substr(comma + 1)));
    text.remove_prefix(std::min(point.size() + 1, text.size()));
  }
  return bounds.box();
}

/// The box around a box that is turned about its centre.
BoxOf<double> around_turned(const BoxOf<double>& box, double degrees) {
  if (degrees == 0) return box;
  const double angle = degrees * std::numbers::pi / 180, x = (box.x1 + box.x2) / 2, y = (box.y1 + box.y2) / 2;
  const double w = (box.x2 - box.x1) / 2, h = (box.y2 - box.y1) / 2;
  const double half_w = std::abs(w * std::cos(angle)) + std::abs(h * std::sin(angle));
  const double half_h = std::abs(w * std::sin(angle)) + std::abs(h * std::cos(angle));
  return {x - half_w, y - half_h, x + half_w, y + half_h};
}

/// The box of an element; nothing if a number is missing.
std::optional<BoxOf<double>> box_of(pugi::xml_node node, std::string_view kind) {
  const auto boxed = [&](const char* a, const char* b, const char* c, const char* d, auto make) {
    const auto p = number_in(node, a), q = number_in(node, b), r = number_in(node, c), s = number_in(node, d);
    return p && q && r && s ? std::optional<BoxOf<double>>(make(*p, *q, *r, *s)) : std::nullopt;
  };
  if (kind == "polygon") return around_points(node.attribute("points").value());
  if (kind == "box")
    return boxed("xtl", "ytl", "xbr", "ybr", [&](double x1, double y1, double x2, double y2) {
      return around_turned({x1, y1, x2, y2}, number_in(node, "rotation").value_or(0));
    });
  if (kind == "mask")
    return boxed("left", "top", "width", "height", [](double x, double y, double w, double h) {
      return BoxOf<double>{x, y, x + w, y + h};
    });
  return boxed("cx", "cy", "rx", "ry", [&](double x, double y, double rx, double ry) {
    const double angle = number_in(node, "rotation").value_or(0) * std::numbers::pi / 180;
    const double w = std::hypot(rx * std::cos(angle), ry * std::sin(angle)),
                 h = std::hypot(rx * std::sin(angle), ry * std::cos(angle));
    return BoxOf<double>{x - w, y - h, x + w, y + h};
  });
}

/// The width and the height; 0 x 0, with a report, unless both can be those of an image.
ImageSize size_of(pugi::xml_node node, const std::string& name, LabelCollector& labels) {
  constexpr int kMaxSide = 65535;
  std::string found;
  bool usable = true;
  const auto side = [&](const char* key) {
    const pugi::xml_attribute attribute = node.attribute(key);
    found += fmt::format("{}{}", found.empty() ? "" : " and ",
                         attribute ? fmt::format("the {} '{}'", key, printable(attribute.value()))
                                   : fmt::format("no {}", key));
    const std::optional<double> number = number_in(node, key);
    const bool possible = number && *number == std::trunc(*number) && *number >= 1 && *number <= kMaxSide;
    usable = usable && possible;
    return possible ? static_cast<int>(*number) : 0;
  };
  const int width = side("width"), height = side("height");
  if (usable) return {width, height};
  labels.report(fmt::format("image {}", printable(name)),
                fmt::format("has {}; expected whole numbers from 1 to {}, so the image's own size is used",
                            found, kMaxSide),
                FaultKind::image_size);
  return {};
}

void read_image(pugi::xml_node node, size_t number, LabelCollector& labels) {
  const std::string name(trim(node.attribute("name").value()));
  if (name.empty()) return labels.report(fmt::format("image {}", number), "has no name; it is skipped");
  if (labels.has_image(name))
    labels.report(fmt::format("image {} ({})", number, printable(name)),
                  "has the name of an earlier one; their objects are taken together", FaultKind::repeated);
  const ImageSize said = size_of(node, name, labels);
  Annotation& image = labels.image(name, said, said != ImageSize{});
  size_t objects = 0;
  for (const pugi::xml_node child : node.children()) {
    const std::string_view kind = child.name();
    if (child.type() != pugi::node_element || kind == "tag") continue;
    const std::string what = fmt::format("image {}, object {}", printable(name), ++objects);
    if (kind != "box" && kind != "polygon" && kind != "mask" && kind != "ellipse") {
      labels.report(what, fmt::format("is a {}, which gives no box; it is skipped", printable(kind)));
      continue;
    }
    if (const std::optional<BoxOf<double>> box = box_of(child, kind))
      labels.add(image, child.attribute("label").value(), *box, what);
    else
      labels.report(what, "lacks a coordinate, or has one that is not a number; it is skipped");
  }
}

}  // namespace

bool is_cvat_file(const fs::path& file) try {
  if (!has_xml_extension(file)) return false;
  const pugi::xml_document document = parse_xml(read_file(file), file.string());
  const pugi::xml_node root = document.child("annotations");
  return root && (root.child("image") || root.child("track") || root.child("meta"));
} catch (const InputError&) {
  return false;
}

LabelledFile read_cvat(const fs::path& file) {
  const pugi::xml_document document = parse_xml(read_file(file), file.string());
  const pugi::xml_node root = document.child("annotations");
  check_input(root, "{} has no <annotations> element; expected CVAT's XML for images.", file.string());
  check_input(!root.child("track"),
              "{} is CVAT's XML for videos (it has <track> elements), which is not read; export the task as "
              "\"CVAT for images 1.1\", COCO or YOLO.",
              file.string());
  LabelCollector labels(file);
  size_t number = 0;
  for (const pugi::xml_node node : root.children("image")) read_image(node, ++number, labels);
  return labels.take();
}

}  // namespace rcnn
