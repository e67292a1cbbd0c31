// Finds the folders, lists and names of a YOLO dataset; yolo.cpp reads its labels.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <set>
#include <system_error>

#include "core/error.h"
#include "core/files/look.h"
#include "core/text.h"
#include "data/coco_places.h"
#include "data/files.h"
#include "data/image_folder.h"
#include "data/yolo.h"
#include "data/yolo_labels.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxYaml = 1 << 20;  // bytes
constexpr size_t kMaxClasses = 100000;

/// Parses the file. A YAML that nests aliases in aliases is refused by the limit on the classes and on its
/// size, because nothing walks the whole tree.
YAML::Node parse_yaml(const fs::path& file) {
  const std::vector<uint8_t> bytes = read_file(file, kMaxYaml + 1);
  check_input(bytes.size() <= kMaxYaml,
              "{} is larger than {} bytes; expected the data.yaml of a YOLO dataset.", file.string(),
              kMaxYaml);
  try {
    return YAML::Load(std::string(bytes.begin(), bytes.end()));
  } catch (const YAML::Exception& error) {
    throw InputError(fmt::format("{} is not YAML: {} (line {}).", file.string(), error.msg,
                                 error.mark.is_null() ? 1 : error.mark.line + 1));
  }
}

std::string class_name(const fs::path& file, size_t number, std::string_view text) {
  text = trim(text);
  check_input(!text.empty(), "{} has an empty name for the class {}.", file.string(), number);
  check_input(is_utf8(text), "{} has the class name '{}', which is not UTF-8; save the file as UTF-8.",
              file.string(), escaped(text));
  return printable(text);
}

std::vector<std::string> read_names_file(const fs::path& file) {
  std::vector<std::string> names;
  for (const std::string& line : read_numbered_lines(file))
    names.push_back(class_name(file, names.size(), line));
  check_input(!names.empty(), "{} names no class; expected one name per line.", file.string());
  return names;
}

std::string scalar(const fs::path& file, const YAML::Node& node, const std::string& what) {
  check_input(node.IsScalar(), "{}: {} is not a text.", file.string(), what);
  return node.Scalar();
}

/// A list of names, or a map from numbers to names; numbers that the map lacks are named after themselves.
std::vector<std::string> names_in(const fs::path& file, const YAML::Node& node) {
  std::vector<std::string> names;
  check_input(node.size() <= kMaxClasses, "{} names more than {} classes.", file.string(), kMaxClasses);
  if (node.IsSequence())
    for (const YAML::Node& name : node)
      names.push_back(class_name(file, names.size(), scalar(file, name, "a name of a class")));
  if (node.IsMap())
    for (const auto& entry : node) {
      size_t number = kMaxClasses;
      check_input(entry.first.IsScalar() && YAML::convert<size_t>::decode(entry.first, number) &&
                      number < kMaxClasses,
                  "{}: the keys of `names` are not all numbers of classes.", file.string());
      while (names.size() <= number) names.push_back(std::to_string(names.size()));
      names[number] = class_name(file, number, scalar(file, entry.second, "a name of a class"));
    }
  if (node.IsScalar() && !node.Scalar().empty()) {
    const fs::path list = file.parent_path() / fs::path(node.Scalar()).filename();
    check_input(is_file(list), "{} takes its names from {}, which does not exist beside it.", file.string(),
                node.Scalar());
    names = read_names_file(list);
  }
  return names;
}

/// Whether a path leads out of a folder, or is one of an unrelated folder.
bool is_outside(const fs::path& path, const fs::path& folder) {
  const fs::path below = fs::weakly_canonical(path).lexically_relative(fs::weakly_canonical(folder));
  return below.empty() || *below.begin() == "..";
}

/// The path `text`, below one of the folders, as it is written or without its first parts, as long as
/// `min_parts` are left: exports write `../train/images` for `train/images`, and absolute paths of another
/// machine.
fs::path find_path(const std::vector<fs::path>& folders, const std::string& text, size_t min_parts = 2) {
  std::error_code unusable;
  std::string slashes = text;
  std::replace(slashes.begin(), slashes.end(), '\\', '/');
  for (const fs::path& folder : folders)
    if (fs::exists(folder / slashes, unusable)) return (folder / slashes).lexically_normal();
  std::vector<fs::path> parts;
  for (const fs::path& part : fs::path(slashes))
    if (part != ".." && part != "." && part != "/" && !part.empty()) parts.push_back(part);
  for (size_t first = 0; first < parts.size(); ++first) {
    if (first > 0 && parts.size() - first < min_parts) break;
    fs::path rest;
    for (size_t i = first; i < parts.size(); ++i) rest /= parts[i];
    for (const fs::path& folder : folders)
      if (fs::exists(folder / rest, unusable)) return (folder / rest).lexically_normal();
  }
  return {};
}

void add_yaml_splits(const fs::path& file, const YoloYaml& yaml, YoloData& data) {
  std::vector<fs::path> bases;
  if (!yaml.path.empty())
    if (fs::path base = find_path({data.root}, yaml.path, 1); is_folder(base)) bases.push_back(base);
  bases.push_back(data.root);
  for (const auto& [key, texts] : yaml.splits) {
    const bool is_usual = !usual_split(key).empty();
    const std::string split = is_usual ? usual_split(key) : key;
    std::vector<fs::path> places;
    for (const std::string& text : texts) {
      fs::path place = find_path(bases, text);
      if (yaml.path.empty() && !place.empty() && is_outside(place, data.root)) {
        // Roboflow writes `../train/images` for `train/images`, which another data set may have beside this.
        std::error_code unusable;
        const size_t rest = text.find_first_not_of("./\\");
        if (text.starts_with("..") && rest != std::string::npos)
          if (const fs::path inner = data.root / text.substr(rest); fs::exists(inner, unusable))
            place = inner.lexically_normal();
      }
      if (!place.empty()) {
        if (is_outside(place, data.root))
          data.notes.push_back(fmt::format("{} gives {} as {}, which lies outside of its folder: {}.",
                                           file.string(), key, text, place.string()));
        places.push_back(place);
        continue;
      }
      check_input(split != "train", "{} gives the training images as {}, which does not exist.",
                  file.string(), text);
      if (is_usual)
        data.notes.push_back(fmt::format("{} gives {} as {}, which does not exist; it is left out.",
                                         file.string(), key, text));
    }
    if (!places.empty()) data.splits[split] = std::move(places);
  }
}

/// Images that have no data.yaml: the folders images/train/ and so on, lists, or all images.
void add_plain_splits(YoloData& data) {
  const fs::path images = is_folder(data.root / "images") ? data.root / "images" : data.root;
  for (const fs::directory_entry& entry : entries_of(images)) {
    const std::string split = usual_split(entry.path().filename().string());
    if (images != data.root && is_folder(entry) && !split.empty()) data.splits[split].push_back(entry.path());
  }
  if (data.splits.empty())
    for (const fs::directory_entry& entry : entries_of(data.root)) {
      const std::string split = usual_split(entry.path().stem().string());
      if (entry.path().extension() == ".txt" && is_file(entry) && !split.empty() &&
          !yolo_images_of(entry.path(), data.root).images.empty())
        data.splits[split].push_back(entry.path());
    }
  if (data.splits.empty()) data.splits[""].push_back(images);
}

fs::path find_names_file(const fs::path& root) {
  for (const fs::path& folder : {root, root / "labels", (root / "..").lexically_normal()})
    for (const char* name : {"classes.txt", "obj.names", "_darknet.labels", "classes.names"})
      if (is_file(folder / name)) return folder / name;
  return {};
}

bool has_yolo_keys(const fs::path& file) try {
  const YAML::Node root = parse_yaml(file);
  return root.IsMap() && (root["names"] || root["nc"]) && (root["train"] || root["val"] || root["test"]);
} catch (const InputError&) {
  return file.stem() == "data";  // reading it reports the fault
}

}  // namespace

bool is_yolo_key(const std::string& key) {
  static const std::set<std::string> kKeys = {"path",      "names",     "nc",       "roboflow",
                                              "download",  "kpt_shape", "flip_idx", "channels",
                                              "kpt_names", "yaml_file", "version",  "license"};
  return kKeys.contains(key);
}

YoloYaml read_yolo_yaml(const fs::path& file) try {
  const YAML::Node root = parse_yaml(file);
  check_input(root.IsMap(), "{} holds no keys; expected the data.yaml of a YOLO dataset.", file.string());
  YoloYaml yaml;
  if (root["names"]) yaml.names = names_in(file, root["names"]);
  if (const YAML::Node count = root["nc"]; count) {
    size_t classes = 0;
    check_input(count.IsScalar() && YAML::convert<size_t>::decode(count, classes) && classes <= kMaxClasses,
                "{}: `nc` is not a number of classes.", file.string());
    if (yaml.names.empty())
      for (size_t i = 0; i < classes; ++i) yaml.names.push_back(fmt::format("class_{}", i));
    else if (classes != yaml.names.size())
      yaml.notes.push_back(fmt::format("{} says nc: {}, but names {} class{}; the names are used.",
                                       file.string(), classes, yaml.names.size(),
                                       yaml.names.size() == 1 ? "" : "es"));
  }
  check_input(!yaml.names.empty(), "{} has no `names` of classes.", file.string());
  yaml.has_keypoints = static_cast<bool>(root["kpt_shape"]);
  if (const YAML::Node path = root["path"]; path && path.IsScalar()) yaml.path = path.Scalar();
  for (const auto& entry : root) {
    if (!entry.first.IsScalar() || is_yolo_key(entry.first.Scalar())) continue;
    const std::string key = printable(entry.first.Scalar());
    std::vector<std::string> texts;
    if (entry.second.IsScalar() && !entry.second.IsNull()) texts.push_back(entry.second.Scalar());
    if (entry.second.IsSequence())
      for (const YAML::Node& text : entry.second)
        if (text.IsScalar()) texts.push_back(text.Scalar());
    std::erase(texts, "");
    if (!texts.empty()) yaml.splits[key] = std::move(texts);
  }
  return yaml;
} catch (const YAML::Exception& error) {
  throw InputError(fmt::format("{} cannot be read as the data.yaml of a YOLO dataset: {}.", file.string(),
                               printable(error.what())));
}

fs::path find_yolo_yaml(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : entries_of(folder)) {
    const std::string extension = lower_case(entry.path().extension().string());
    if ((extension == ".yaml" || extension == ".yml") && is_file(entry)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::stable_partition(files.begin(), files.end(),
                        [](const fs::path& file) { return file.stem() == "data"; });
  const auto found = std::find_if(files.begin(), files.end(), has_yolo_keys);
  return found == files.end() ? fs::path() : *found;
}

bool is_yolo(const fs::path& folder) {
  if (!find_yolo_yaml(folder).empty()) return true;
  for (const fs::path& images : {folder, folder / "images", folder / "obj_train_data",
                                 folder / "images/train", folder / "images/val", folder / "images/test"})
    if (has_yolo_labels(images, folder)) return true;
  return false;
}

YoloData find_yolo(const fs::path& path) {
  YoloData data;
  const bool whole = is_folder(path);
  data.root = whole ? path : path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (const fs::path file = whole ? find_yolo_yaml(path) : path; !file.empty()) {
    YoloYaml yaml = read_yolo_yaml(file);
    data.names_file = file;
    data.names = std::move(yaml.names);
    data.has_keypoints = yaml.has_keypoints;
    data.notes = std::move(yaml.notes);
    add_yaml_splits(file, yaml, data);
    check_input(!data.splits.empty(), "{} gives no images that exist (train, val or test).", file.string());
    return data;
  }
  data.names_file = find_names_file(data.root);
  if (!data.names_file.empty()) data.names = read_names_file(data.names_file);
  add_plain_splits(data);
  return data;
}

}  // namespace rcnn
