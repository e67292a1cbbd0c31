// labelme: {"shapes": [{"label", "points": [[x, y], ...], "shape_type"}], "imagePath", "imageWidth",
// "imageHeight"}, one file per image. The points of a rectangle are two corners, in any order; those of a
// circle are its centre and a point on it.
#include <cmath>

#include "core/error.h"
#include "core/text.h"
#include "data/json_file.h"
#include "data/label_forms.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;
using simdjson::dom::array;
using simdjson::dom::element;

std::string text_at(const element& value, std::string_view key) {
  std::string_view text;
  return value.at_key(key).get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
}

int side_at(const element& value, std::string_view key) {
  element side;
  if (value.at_key(key).get(side) != simdjson::SUCCESS) return 0;
  const std::optional<int64_t> whole = whole_number_in(side);
  return whole && *whole > 0 && *whole < 1'000'000'000 ? static_cast<int>(*whole) : 0;
}

/// The box around the points of a shape; nothing if they are not numbers, or too few.
std::optional<BoxOf<double>> box_of(const element& shape, const std::string& kind) {
  array points;
  if (shape.at_key("points").get(points) != simdjson::SUCCESS || points.size() < 2) return std::nullopt;
  PointBounds bounds;
  std::vector<double> numbers;
  for (const element& point : points) {
    array pair;
    if (point.get(pair) != simdjson::SUCCESS || pair.size() != 2) return std::nullopt;
    for (const element& part : pair) {
      const std::optional<double> number = number_in(part);
      if (!number) return std::nullopt;
      numbers.push_back(*number);
    }
    bounds.add(numbers[numbers.size() - 2], numbers.back());
  }
  if (kind != "circle") return bounds.box();
  const double radius = std::hypot(numbers[2] - numbers[0], numbers[3] - numbers[1]);
  return BoxOf<double>{numbers[0] - radius, numbers[1] - radius, numbers[0] + radius, numbers[1] + radius};
}

}  // namespace

bool is_labelme_file(const fs::path& file) try {
  if (lower_case(file.extension().string()) != ".json") return false;
  const JsonFile document(file);
  return document.root().at_key("shapes").is_array() && document.root().at_key("imagePath").is_string();
} catch (const InputError&) {
  return false;
}

LabelledFile read_labelme(const fs::path& file) {
  const JsonFile document(file);
  array shapes;
  check_input(document.root().at_key("shapes").get(shapes) == simdjson::SUCCESS,
              "{} lacks the list \"shapes\"; expected labelme's JSON.", file.string());
  LabelCollector labels(file);
  Annotation& image =
      labels.image(text_at(document.root(), "imagePath"),
                   {side_at(document.root(), "imageWidth"), side_at(document.root(), "imageHeight")}, true);
  image.part.clear();  // the file's name says which image it is
  size_t number = 0;
  for (const element& shape : shapes) {
    const std::string what = fmt::format("shape {}", ++number), kind = text_at(shape, "shape_type");
    if (kind == "point" || kind == "points" || kind == "line" || kind == "linestrip") {
      labels.report(what, fmt::format("is a {}, which gives no box; it is skipped", kind));
      continue;
    }
    if (const std::optional<BoxOf<double>> box = box_of(shape, kind))
      labels.add(image, text_at(shape, "label"), *box, what);
    else
      labels.report(what, "has no list of two or more points of two numbers; it is skipped");
  }
  return labels.take();
}

}  // namespace rcnn
