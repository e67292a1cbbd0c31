// Reads COCO's JSON files into plain structs; coco.cpp makes datasets of them.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <system_error>
#include <unordered_map>

#include "core/error.h"
#include "core/text.h"
#include "data/coco.h"
#include "data/files.h"
#include "data/json_file.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;
using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

constexpr int64_t kMaxCategoryId = int64_t{1} << 53;  // every reader of JSON keeps these exactly
constexpr double kMaxCoordinate = 1e9;                // as in read_voc

/// One entry of a list. Every function throws InputError, which names the file, the list and the position.
class Entry {
 public:
  Entry(const JsonFile& document, std::string_view list, size_t index, const element& value)
      : file_(document.file()), list_(list), index_(index) {
    if (value.get(fields_) != simdjson::SUCCESS) fail("is {}; expected an object in braces", as_text(value));
  }

  /// The value of a key; nothing if it is absent or null.
  std::optional<element> find(std::string_view key) const {
    element value;
    if (fields_.at_key(key).get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
    return value;
  }

  element get(std::string_view key) const {
    const std::optional<element> value = find(key);
    if (!value) fail("lacks \"{}\"", key);
    return *value;
  }

  int64_t id(std::string_view key) const {
    const element value = get(key);
    const std::optional<int64_t> whole = whole_number_in(value);
    if (!whole) fail("has the {} {}; expected a whole number below 2^63", key, as_text(value));
    return *whole;
  }

  double number(std::string_view key) const {
    const element value = get(key);
    const std::optional<double> result = number_in(value);
    if (!result) fail("has the {} {}; expected a number", key, as_text(value));
    return *result;
  }

  /// Reads the four numbers of a bbox into `to`.
  template <class Boxed>
  void box(Boxed& to) const {
    const element value = get("bbox");
    array numbers;
    double parts[4] = {};
    bool good = value.get(numbers) == simdjson::SUCCESS && numbers.size() == 4;
    size_t count = 0;
    if (good)
      for (const element& part : numbers) {
        const std::optional<double> number = number_in(part);
        good = good && number && std::abs(*number) < kMaxCoordinate;
        parts[count++] = number.value_or(0);
      }
    if (!good) fail("has the bbox {}; expected four numbers below 1e9", as_text(value));
    to.x = parts[0];
    to.y = parts[1];
    to.width = parts[2];
    to.height = parts[3];
  }

  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> what, Args&&... args) const {
    throw InputError(
        fmt::format("{}: {}[{}] {}.", file_, list_, index_, fmt::format(what, std::forward<Args>(args)...)));
  }

 private:
  const std::string& file_;
  std::string_view list_;
  size_t index_;
  object fields_;
};

/// A side of an image; 0 if the file gives none that is possible.
int read_side(const Entry& entry, std::string_view key) {
  const std::optional<element> value = entry.find(key);
  const std::optional<int64_t> side = value ? whole_number_in(*value) : std::nullopt;
  return side && *side > 0 && *side <= std::numeric_limits<int>::max() ? static_cast<int>(*side) : 0;
}

CocoImage read_image_entry(const Entry& entry) {
  CocoImage image;
  image.id = entry.id("id");
  std::string_view name;
  if (entry.get("file_name").get(name) != simdjson::SUCCESS)
    entry.fail("has a file_name that is not a string");
  image.file_name = name;
  image.width = read_side(entry, "width");
  image.height = read_side(entry, "height");
  return image;
}

CocoCategory read_category(const Entry& entry) {
  CocoCategory category;
  category.id = entry.id("id");
  if (category.id < -kMaxCategoryId || category.id > kMaxCategoryId)
    entry.fail("has the id {}; expected a whole number from {} to {}", category.id, -kMaxCategoryId,
               kMaxCategoryId);
  std::string_view name, heading;
  if (entry.get("name").get(name) != simdjson::SUCCESS || trim(name).empty())
    entry.fail("has a name that is empty or not a string");
  category.name = printable(trim(name));
  const std::optional<element> supercategory = entry.find("supercategory");
  if (supercategory && supercategory->get(heading) == simdjson::SUCCESS)
    category.supercategory = printable(trim(heading));
  return category;
}

/// The smallest box around points.
class Bounds {
 public:
  /// Adds the points x, y, x, y, ... of a polygon.
  void add(const Entry& entry, const array& numbers) {
    if (numbers.size() % 2 != 0)
      entry.fail("has the polygon {}; expected a list x, y, x, y, ...",
                 simdjson::minify(numbers).substr(0, 60));
    size_t axis = 0;
    for (const element& part : numbers) {
      const std::optional<double> number = number_in(part);
      if (!number || !(std::abs(*number) < kMaxCoordinate))
        entry.fail("has {} in a polygon; expected numbers below 1e9", as_text(part));
      min_[axis] = std::min(min_[axis], *number);
      max_[axis] = std::max(max_[axis], *number);
      axis = 1 - axis;
    }
  }

  bool is_empty() const { return min_[0] > max_[0]; }

  void set_box(CocoAnnotation& of) const {
    of.x = min_[0];
    of.y = min_[1];
    of.width = max_[0] - min_[0];
    of.height = max_[1] - min_[1];
  }

 private:
  double min_[2] = {kMaxCoordinate, kMaxCoordinate}, max_[2] = {-kMaxCoordinate, -kMaxCoordinate};
};

/// Sets the box of an annotation without a bbox: the one around its polygons, a list of lists or a single
/// list.
void read_outline(const Entry& entry, CocoAnnotation& to) {
  Bounds bounds;
  const std::optional<element> outline = entry.find("segmentation");
  array polygons, numbers;
  if (outline && outline->get(polygons) == simdjson::SUCCESS) {
    if (polygons.size() > 0 && polygons.at(0).get(numbers) != simdjson::SUCCESS)
      bounds.add(entry, polygons);
    else
      for (const element& polygon : polygons) {
        if (polygon.get(numbers) != simdjson::SUCCESS)
          entry.fail("has {} among its polygons; expected a list x, y, x, y, ...", as_text(polygon));
        bounds.add(entry, numbers);
      }
  }
  if (bounds.is_empty()) entry.fail("lacks \"bbox\", and has no polygon around which the box could lie");
  bounds.set_box(to);
}

bool has_bbox(const Entry& entry) {
  const std::optional<element> value = entry.find("bbox");
  array numbers;
  return value && !(value->get(numbers) == simdjson::SUCCESS && numbers.size() == 0);
}

/// The area of an outline. The box stands in for a file that gives none: null, true, an empty text.
double read_area(const Entry& entry, double of_box) {
  const std::optional<element> value = entry.find("area");
  if (!value || value->is_bool()) return of_box;
  if (std::string_view text; value->get(text) == simdjson::SUCCESS && trim(text).empty()) return of_box;
  return entry.number("area");
}

/// A key such as iscrowd, which may be 1, true, "1" or "true".
bool read_flag(const Entry& entry, std::string_view key) {
  const std::optional<element> value = entry.find(key);
  if (!value) return false;
  if (bool flag = false; value->get(flag) == simdjson::SUCCESS) return flag;
  if (const std::optional<double> number = number_in(*value)) return *number != 0;
  std::string_view text;
  if (value->get(text) == simdjson::SUCCESS) {
    text = trim(text);
    if (text == "true" || text == "True" || text == "TRUE") return true;
    if (text.empty() || text == "false" || text == "False" || text == "FALSE") return false;
  }
  entry.fail("has the {} {}; expected 0 or 1", key, as_text(*value));
}

CocoAnnotation read_annotation(const Entry& entry) {
  CocoAnnotation annotation;
  annotation.image = entry.id("image_id");
  annotation.category = entry.id("category_id");
  if (has_bbox(entry))
    entry.box(annotation);
  else
    read_outline(entry, annotation);
  annotation.area = read_area(entry, annotation.width * annotation.height);
  annotation.crowd = read_flag(entry, "iscrowd");
  annotation.ignore = read_flag(entry, "difficult");
  return annotation;
}

/// Calls `read(entry)` for each entry of a list of the file.
template <class Read>
void for_each_entry(const JsonFile& document, std::string_view list, const Read& read) {
  array entries;
  check_input(document.root().at_key(list).get(entries) == simdjson::SUCCESS,
              "{} lacks the list \"{}\"; expected COCO's images, annotations and categories.",
              document.file(), list);
  size_t index = 0;
  for (const element& value : entries) read(index++, value);
}

bool is_same(const CocoImage& a, const CocoImage& b) { return a.file_name == b.file_name; }
bool is_same(const CocoCategory& a, const CocoCategory& b) { return a.name == b.name; }

/// The images or the categories of a file, by their ids. An entry that repeats an earlier one is left out
/// with a fault; one that only has the id of another is an error.
template <class Item>
std::unordered_map<int64_t, size_t> read_items(const JsonFile& document, std::string_view list,
                                               Item (*read)(const Entry&), std::vector<Item>& items,
                                               std::vector<Fault>& faults) {
  std::unordered_map<int64_t, size_t> by_id;
  for_each_entry(document, list, [&](size_t index, const element& value) {
    const Entry entry(document, list, index, value);
    Item item = read(entry);
    const auto [earlier, is_new] = by_id.emplace(item.id, items.size());
    if (is_new)
      items.push_back(std::move(item));
    else if (is_same(item, items[earlier->second]))
      faults.push_back({document.file(),
                        fmt::format("{}: {}[{}] repeats an earlier entry, with the id {}; it is skipped.",
                                    document.file(), list, index, item.id),
                        FaultKind::repeated});
    else
      entry.fail("has the id {} of an earlier entry", item.id);
  });
  return by_id;
}

int64_t look_up(const Entry& entry, const char* what, const std::string& name,
                const std::map<std::string, int64_t>& numbers) {
  const auto found = numbers.find(name);
  if (found == numbers.end()) entry.fail("names the {} '{}', which the data lacks", what, name);
  return found->second;
}

CocoResult read_result(const Entry& entry, const CocoNumbers& numbers) {
  CocoResult result;
  std::string_view name;
  const element image = entry.get("image_id");
  const bool named = image.get(name) == simdjson::SUCCESS;
  if (named &&
      (numbers.images.contains(std::string(name)) || !whole_number_in(image) || !numbers.categories.empty()))
    result.image = look_up(entry, "image", std::string(name), numbers.images);
  else if (result.image = entry.id("image_id"); !numbers.categories.empty())
    result.image = look_up(entry, "image", std::to_string(result.image), numbers.images);
  if (numbers.any_category) {
    result.category = 0;
  } else if (numbers.categories.empty()) {
    result.category = entry.id("category_id");
  } else {
    if (entry.get("category_name").get(name) != simdjson::SUCCESS)
      entry.fail("has a category_name that is not a string");
    result.category = look_up(entry, "class", printable(trim(name)), numbers.categories);
  }
  entry.box(result);
  result.score = entry.number("score");
  return result;
}

/// Whether a file that is not JSON was meant to be a COCO file: by its name, or by the words in it.
bool looks_like_coco(const fs::path& path) {
  const std::string name = path.filename().string();
  if (name.find("coco") != std::string::npos || name.starts_with("instances")) return true;
  std::vector<uint8_t> bytes;
  try {
    bytes = read_file(path);
  } catch (const InputError&) {
    return false;
  }
  std::erase(bytes, 0);  // so that the words are found in UTF-16, too
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto has = [&](std::string_view word) { return text.find(word) != std::string_view::npos; };
  return has("\"images\"") || has("\"annotations\"") || has("\"categories\"");
}

}  // namespace

bool is_coco_file(const fs::path& path) {
  std::error_code unreadable;
  if (lower_case(path.extension().string()) != ".json" || !fs::is_regular_file(path, unreadable))
    return false;
  try {
    const JsonFile document(path);
    return document.root().at_key("images").is_array() && document.root().at_key("annotations").is_array();
  } catch (const InputError&) {
    return looks_like_coco(path);
  }
}

CocoFile read_coco_file(const fs::path& path) {
  const JsonFile document(path);
  CocoFile file;
  file.path = path;
  const auto images = read_items(document, "images", read_image_entry, file.images, file.faults);
  const auto categories = read_items(document, "categories", read_category, file.categories, file.faults);
  for_each_entry(document, "annotations", [&](size_t index, const element& value) {
    try {
      const Entry entry(document, "annotations", index, value);
      const CocoAnnotation annotation = read_annotation(entry);
      if (!images.contains(annotation.image))
        entry.fail("names the image {}, which the file lacks", annotation.image);
      if (!categories.contains(annotation.category))
        entry.fail("names the category {}, which the file lacks", annotation.category);
      file.annotations.push_back(annotation);
    } catch (const InputError& fault) {
      file.faults.push_back(
          {path, fmt::format("{} The annotation is skipped.", fault.what()), FaultKind::bad_object});
    }
  });
  return file;
}

std::vector<CocoResult> read_coco_results(const fs::path& path, const CocoNumbers& numbers) {
  const JsonFile document(path);
  array entries;
  check_input(document.root().get(entries) == simdjson::SUCCESS,
              "{} holds no list of detections; expected COCO's results format, "
              "[{{\"image_id\", \"category_id\", \"bbox\", \"score\"}}, ...].",
              document.file());
  std::vector<CocoResult> results;
  for (const element& value : entries) {
    const Entry entry(document, "", results.size(), value);
    results.push_back(read_result(entry, numbers));
  }
  return results;
}

}  // namespace rcnn
