// Reads COCO's JSON files into plain structs; coco.cpp makes datasets of them.
#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <system_error>
#include <tuple>
#include <unordered_set>

#include "core/error.h"
#include "data/coco.h"
#include "data/files.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;
using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr double kMaxCoordinate = 1e9;  // as in read_voc

/// The position at which a text stops being valid JSON, in words; "" if it cannot be determined. nlohmann's
/// parser is much slower than simdjson, but reports the position.
std::string place_of_fault(std::string_view text) {
  const auto keep_nothing = [](int, nlohmann::json::parse_event_t, nlohmann::json&) { return false; };
  try {
    std::ignore = nlohmann::json::parse(text.begin(), text.end(), keep_nothing);
  } catch (const nlohmann::json::parse_error& fault) {
    const size_t byte = std::min(fault.byte, text.size());
    return fmt::format(" at byte {}, line {}", fault.byte,
                       1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(byte), '\n'));
  } catch (const nlohmann::json::exception&) {  // a number that no double holds
  }
  return "";
}

/// A parsed file. Elements point into it.
class Document {
 public:
  explicit Document(const fs::path& path) : file_(path.string()) {
    std::vector<uint8_t> bytes = read_file(path);
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const size_t mark = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
    const size_t size = text.size() - mark;
    bytes.resize(bytes.size() + simdjson::SIMDJSON_PADDING);  // the parser reads ahead
    const simdjson::error_code error = parser_.parse(bytes.data() + mark, size, false).get(root_);
    if (error == simdjson::SUCCESS) return;
    text = {reinterpret_cast<const char*>(bytes.data()) + mark, size};
    throw InputError(fmt::format("{} is not JSON{} ({}).", file_, place_of_fault(text),
                                 std::string_view(simdjson::error_message(error))));
  }

  const std::string& file() const { return file_; }
  const element& root() const { return root_; }

 private:
  std::string file_;
  simdjson::dom::parser parser_;
  element root_;
};

/// A value from the file as text for a message, cut off if it is long.
std::string as_text(const element& value) {
  constexpr size_t kMaxLength = 60;
  std::string text = simdjson::minify(value);
  if (text.size() > kMaxLength) {
    size_t end = kMaxLength;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // inside a character
    text = text.substr(0, end) + "...";
  }
  return text;
}

/// A whole number, which may be written as 1.0.
std::optional<int64_t> whole_number(const element& value) {
  int64_t whole = 0;
  if (value.get(whole) == simdjson::SUCCESS) return whole;
  double number = 0;
  if (value.get(number) == simdjson::SUCCESS && number == std::trunc(number) && number >= -0x1p63 &&
      number < 0x1p63)
    return static_cast<int64_t>(number);
  return std::nullopt;
}

/// One entry of a list. Every function throws InputError, which names the file, the list and the position.
class Entry {
 public:
  Entry(const Document& document, std::string_view list, size_t index, const element& value)
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
    const std::optional<int64_t> whole = whole_number(value);
    if (!whole) fail("has the {} {}; expected a whole number below 2^63", key, as_text(value));
    return *whole;
  }

  double number(std::string_view key) const {
    const element value = get(key);
    double result = 0;
    if (value.get(result) != simdjson::SUCCESS) fail("has the {} {}; expected a number", key, as_text(value));
    return result;
  }

  /// Reads the four numbers of a bbox into `to`.
  template <class Boxed>
  void box(Boxed& to) const {
    const element value = get("bbox");
    array numbers;
    double parts[4];
    size_t count = 0;
    bool good = value.get(numbers) == simdjson::SUCCESS && numbers.size() == 4;
    if (good)
      for (const element& number : numbers)
        good = number.get(parts[count++]) == simdjson::SUCCESS &&
               std::abs(parts[count - 1]) < kMaxCoordinate && good;
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
  const std::optional<int64_t> side = value ? whole_number(*value) : std::nullopt;
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
  std::string_view name, heading;
  if (entry.get("name").get(name) != simdjson::SUCCESS || name.empty())
    entry.fail("has a name that is empty or not a string");
  category.name = name;
  const std::optional<element> supercategory = entry.find("supercategory");
  if (supercategory && supercategory->get(heading) == simdjson::SUCCESS) category.supercategory = heading;
  return category;
}

CocoAnnotation read_annotation(const Entry& entry) {
  CocoAnnotation annotation;
  annotation.image = entry.id("image_id");
  annotation.category = entry.id("category_id");
  entry.box(annotation);
  annotation.area = entry.find("area") ? entry.number("area") : annotation.width * annotation.height;
  if (const std::optional<element> crowd = entry.find("iscrowd"); crowd && crowd->is_bool())
    annotation.crowd = crowd->get_bool().value_unsafe();
  else if (crowd)
    annotation.crowd = entry.number("iscrowd") != 0;
  return annotation;
}

/// Calls `read(entry)` for each entry of a list of the file.
template <class Read>
void for_each_entry(const Document& document, std::string_view list, const Read& read) {
  array entries;
  check_input(document.root().at_key(list).get(entries) == simdjson::SUCCESS,
              "{} lacks the list \"{}\"; expected COCO's images, annotations and categories.",
              document.file(), list);
  size_t index = 0;
  for (const element& value : entries) read(index++, value);
}

/// Reads images or categories, whose ids may not repeat. Adds the ids to `ids`.
template <class Item>
std::vector<Item> read_items(const Document& document, std::string_view list, Item (*read)(const Entry&),
                             std::unordered_set<int64_t>& ids) {
  std::vector<Item> items;
  for_each_entry(document, list, [&](size_t index, const element& value) {
    const Entry entry(document, list, index, value);
    items.push_back(read(entry));
    if (!ids.insert(items.back().id).second) entry.fail("has the id {} of an earlier entry", items.back().id);
  });
  return items;
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
  if (entry.get("image_id").get(name) == simdjson::SUCCESS)
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
    result.category = look_up(entry, "class", std::string(name), numbers.categories);
  }
  entry.box(result);
  result.score = entry.number("score");
  return result;
}

}  // namespace

bool is_coco_file(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  std::error_code unreadable;
  if (extension != ".json" || !fs::is_regular_file(path, unreadable)) return false;
  try {
    const Document document(path);
    return document.root().at_key("images").is_array() && document.root().at_key("annotations").is_array();
  } catch (const InputError&) {
    return false;
  }
}

CocoFile read_coco_file(const fs::path& path) {
  const Document document(path);
  CocoFile file;
  file.path = path;
  std::unordered_set<int64_t> images, categories;
  file.images = read_items(document, "images", read_image_entry, images);
  file.categories = read_items(document, "categories", read_category, categories);
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
      file.faults.push_back({path, fmt::format("{} The annotation is skipped.", fault.what())});
    }
  });
  return file;
}

std::vector<CocoResult> read_coco_results(const fs::path& path, const CocoNumbers& numbers) {
  const Document document(path);
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
