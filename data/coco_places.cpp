#include "data/coco_places.h"

#include <algorithm>
#include <map>
#include <system_error>

#include "core/files/look.h"
#include "core/text.h"
#include "data/coco.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// The parts of a name between characters that are neither letters nor digits.
std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words(1);
  for (const char c : name) {
    if (is_letter_or_digit(c))
      words.back() += c;
    else if (!words.back().empty())
      words.emplace_back();
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

bool is_instances(const fs::path& file) { return file.filename().string().starts_with("instances"); }

std::vector<fs::path> coco_files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  if (!is_folder(folder)) return files;
  for (const fs::directory_entry& entry : entries_of(folder))
    if (lower_case(entry.path().extension().string()) == ".json" && is_file(entry) &&
        is_coco_file(entry.path()))
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

bool holds(const fs::path& folder, const CocoImage& image) {
  std::error_code unusable;  // a name that no file can have
  const fs::path name = image.file_name;
  return fs::exists(folder / name, unusable) || fs::exists(folder / name.filename(), unusable);
}

}  // namespace

std::string usual_split(const std::string& name) {
  static const std::map<std::string, std::string> kNames = {
      {"train", "train"},    {"training", "train"}, {"val", "val"},      {"valid", "val"},
      {"validation", "val"}, {"test", "test"},      {"testing", "test"},
  };
  const auto found = kNames.find(lower_case(name));
  return found == kNames.end() ? std::string() : found->second;
}

std::string split_in_name(const std::string& name) {
  std::string said;
  for (std::string word : words_of(name)) {
    word.erase(word.find_last_not_of("0123456789") + 1);
    const std::string split = usual_split(word);
    if (split.empty() || split == said) continue;
    if (!said.empty()) return {};
    said = split;
  }
  return said;
}

std::vector<CocoPlace> find_coco_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::path& place : {folder, folder / "annotations", folder / "Annotations"})
    for (fs::path& file : coco_files_in(place)) files.push_back(std::move(file));
  if (files.size() == 1) return {{files.front(), split_in_name(files.front().stem().string())}};
  std::stable_partition(files.begin(), files.end(), is_instances);

  std::map<std::string, fs::path> by_split;
  for (const fs::path& file : files) {
    const std::string name = file.stem().string(), split = split_in_name(name);
    if (by_split.emplace(split.empty() ? name : split, file).second) continue;
    if (!name.starts_with("captions") && !name.starts_with("person_keypoints")) by_split.emplace(name, file);
  }
  std::vector<CocoPlace> places;
  for (const auto& [split, file] : by_split) places.push_back({file, split});
  return places;
}

fs::path coco_data_set(const fs::path& file) {
  const fs::path own = file.has_parent_path() ? file.parent_path() : fs::path(".");
  return lower_case(own.filename().string()) == "annotations" ? (own / "..").lexically_normal() : own;
}

fs::path coco_root(const fs::path& file, const fs::path& folder) {
  const fs::path root = coco_data_set(file);
  const std::string inner = folder.lexically_normal().lexically_relative(root).generic_string();
  return inner.empty() || inner.starts_with("..") ? folder : root;
}

fs::path find_coco_images(const fs::path& file) {
  const fs::path own = file.has_parent_path() ? file.parent_path() : fs::path(".");
  std::vector<fs::path> bases = {own};
  if (lower_case(own.filename().string()) == "annotations") bases.push_back(own / "..");

  std::vector<std::string> names = {"images", "JPEGImages", "data", file.stem().string()};
  for (const std::string& word : words_of(file.stem().string())) names.push_back(word);  // train2017
  if (const std::string split = split_in_name(file.stem().string()); !split.empty()) names.push_back(split);
  std::vector<fs::path> places;
  for (const fs::path& base : bases) {
    places.push_back(base);
    for (const std::string& name : names) {
      places.push_back(base / name);
      places.push_back(base / "images" / name);
    }
  }
  std::erase_if(places, [](const fs::path& place) { return !is_folder(place); });

  const std::vector<CocoImage> images = read_coco_file(file).images;
  const size_t step = std::max<size_t>(1, images.size() / 100);
  fs::path best = own;
  size_t max_count = 0;
  for (const fs::path& place : places) {
    size_t count = 0;
    for (size_t i = 0; i < images.size(); i += step) count += holds(place, images[i]) ? 1 : 0;
    if (count > max_count) {
      max_count = count;
      best = place.lexically_normal();
    }
  }
  return best;
}

}  // namespace rcnn
