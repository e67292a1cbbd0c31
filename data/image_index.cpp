#include "data/image_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "core/text.h"
#include "data/coco_places.h"
#include "data/files.h"
#include "data/image_folder.h"
#include "data/name_key.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
/// Bytes of other alphabets count as letters.
bool is_part_of_word(char c) {
  return is_upper(c) || is_lower(c) || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80;
}

/// The words of a folder's name in lower case: "train_images", "train-images" and "trainImages" have two.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words(1);
  char before = 0;
  for (const char c : name) {
    const bool starts = !is_part_of_word(c) || (is_lower(before) && is_upper(c));
    if (starts && !words.back().empty()) words.emplace_back();
    if (is_part_of_word(c)) words.back() += c;
    before = c;
  }
  if (words.back().empty()) words.pop_back();
  for (std::string& word : words) word = name_key(word);
  return words;
}

/// Whether a word of a folder's name says only what kind of files it holds.
bool is_kind_of_file(const std::string& word) {
  static const std::set<std::string> kKinds = {
      "image",      "images",      "img",    "imgs",  "jpegimages", "jpeg",    "jpg",   "jpgs",   "png",
      "pngs",       "photo",       "photos", "pics",  "pic",        "picture", "data",  "annot",  "annots",
      "annotation", "annotations", "anno",   "annos", "ann",        "anns",    "label", "labels", "xml",
      "xmls",       "pictures",    "bbox",   "boxes", "gt",         "voc",     "bboxes"};
  return kKinds.contains(word);
}

/// The name without an extension of an image, also of one that cannot be read here.
std::string without_extension(const std::string& name) {
  const fs::path path = name;
  const std::string extension = lower_case(path.extension().string());
  const bool other = extension == ".gif" || extension == ".heic" || extension == ".xml";
  return other || has_image_extension(path) ? path.stem().string() : name;
}

std::string last_folder(const std::vector<std::string>& folders) {
  return folders.empty() ? std::string() : folders.back();
}

/// The split of which folders speak; empty if they disagree.
std::string split_of(const std::vector<std::string>& folders) {
  std::string said;
  for (const std::string& folder : folders) {
    const std::string split = split_in_name(folder);
    if (split.empty() || split == said) continue;
    if (!said.empty()) return {};
    said = split;
  }
  return said;
}

}  // namespace

std::string split_in_folders(const fs::path& path) {
  std::vector<std::string> folders;
  for (const fs::path& part : path.parent_path())
    folders.push_back(fmt::format("{}", fmt::join(words_of(part.string()), " ")));
  return split_of(folders);
}

bool holds_masks(const fs::path& folders) {
  return std::any_of(folders.begin(), folders.end(), [](const fs::path& folder) {
    const std::string name = lower_case(folder.string());
    for (const char* whole : {"mask", "masks", "depth", "depths", "thumbs", "thumbnails"})
      if (name == whole) return true;
    for (const char* start : {"segmentation", "trimap", "stuffthing", "panoptic", "semantic"})
      if (name.starts_with(start)) return true;
    return false;
  });
}

ImageIndex::Name ImageIndex::normalise(std::string path) {
  std::replace(path.begin(), path.end(), '\\', '/');
  // Label Studio's names of files on its server: /data/local-files/?d=folder/a.jpg.
  if (const size_t query = path.find("?d="); query != std::string::npos) path.replace(query, 3, 1, '/');
  Name name;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (end == path.size()) {
      name.stem = name_key(without_extension(part));
    } else if (part != "." && part != "..") {
      std::vector<std::string> words = words_of(part);
      std::erase_if(words, is_kind_of_file);
      if (!words.empty()) name.folders.push_back(fmt::format("{}", fmt::join(words, " ")));
    }
    begin = end + 1;
  }
  return name;
}

std::vector<fs::path> images_below(const fs::path& root) {
  std::vector<fs::path> images;
  walk_files(root, [&](const fs::path& file) {
    if (has_image_extension(file)) images.push_back(file);
    return true;
  });
  std::sort(images.begin(), images.end());
  return images;
}

ImageIndex::ImageIndex(const fs::path& root, const std::vector<fs::path>& images) : root_(root) {
  for (const fs::path& image : images)
    if (!holds_masks(image.parent_path().lexically_relative(root))) files_.push_back(image);
  for (size_t i = 0; i < files_.size(); ++i) {
    names_.push_back(normalise(files_[i].lexically_relative(root).generic_string()));
    by_stem_[names_[i].stem].push_back(i);
    last_folders_.insert(last_folder(names_[i].folders));
  }
}

std::vector<size_t> ImageIndex::find(const Name& name) const {
  const auto found = by_stem_.find(name.stem);
  if (found == by_stem_.end()) return {};
  const std::vector<size_t>& fitting = found->second;
  std::vector<size_t> equal, best;
  size_t most = 1;
  for (const size_t i : fitting) {
    const std::vector<std::string>& folders = names_[i].folders;
    if (names_[i] == name) equal.push_back(i);
    const auto common = static_cast<size_t>(
        std::count_if(name.folders.begin(), name.folders.end(), [&](const std::string& folder) {
          return std::find(folders.begin(), folders.end(), folder) != folders.end();
        }));
    if (common > most) best.clear();
    if (common >= most) best.push_back(i);
    most = std::max(most, common);
  }
  return !equal.empty() ? equal : !best.empty() ? best : fitting;
}

void ImageIndex::choose(LostImage& lost, const std::set<std::string>& spoken_of) const {
  for (const std::string& path : lost.paths) {
    const Name name = normalise(path);
    std::vector<size_t> fitting = find(name);
    if (fitting.empty()) continue;
    if (fitting.size() > 1) {
      const std::string wanted = fs::path(lost.name).filename().string();
      std::vector<size_t> same = fitting;
      std::erase_if(same, [&](size_t i) { return files_[i].filename().string() != wanted; });
      if (same.size() == 1) fitting = same;
    }
    const fs::path first = files_[fitting[0]].lexically_relative(root_);
    if (fitting.size() > 1) {
      lost.doubt =
          fmt::format("{} images have that name ({} and {} are the first), and none has its folder",
                      fitting.size(), first.string(), files_[fitting[1]].lexically_relative(root_).string());
      return;
    }
    const std::vector<std::string>& folders = names_[fitting[0]].folders;
    const std::string own = last_folder(name.folders), other = last_folder(folders);
    const std::string split = lost.split.empty() ? split_of(name.folders) : lost.split;
    const std::string other_split = split_of(folders);
    if ((!own.empty() && own != other && (last_folders_.contains(own) || spoken_of.contains(other))) ||
        (!split.empty() && !other_split.empty() && split != other_split))
      lost.doubt = fmt::format("{} has that name but lies in another folder", first.string());
    else
      lost.found = files_[fitting[0]];
    return;
  }
}

void ImageIndex::match(std::vector<LostImage>& lost, const std::set<fs::path>& claimed) const {
  std::set<fs::path> taken;
  std::set<std::string> spoken_of;  // folders that other entries name, besides the unnamed one
  for (const fs::path& image : claimed) {
    taken.insert(image.lexically_normal());
    spoken_of.insert(last_folder(normalise(image.lexically_relative(root_).generic_string()).folders));
  }
  for (const LostImage& entry : lost)
    for (const std::string& path : entry.paths) spoken_of.insert(last_folder(normalise(path).folders));
  spoken_of.erase("");

  std::map<fs::path, std::vector<LostImage*>> by_image;
  for (LostImage& entry : lost) {
    choose(entry, spoken_of);
    if (!entry.found.empty()) by_image[entry.found].push_back(&entry);
  }
  for (const auto& [image, entries] : by_image) {
    const bool is_taken = taken.contains(image.lexically_normal());
    if (!is_taken && entries.size() == 1) continue;
    for (LostImage* entry : entries) {
      entry->found.clear();
      entry->doubt =
          fmt::format("{} has that name but {}", image.lexically_relative(root_).string(),
                      is_taken ? "belongs to another entry" : fmt::format("fits {} entries", entries.size()));
    }
  }
}

void report_found(const fs::path& root, const std::vector<LostImage>& lost, std::vector<Fault>& faults) {
  size_t count = 0;
  const LostImage* first = nullptr;
  for (const LostImage& entry : lost)
    if (!entry.found.empty() && count++ == 0) first = &entry;
  if (count == 0) return;
  const std::string how = count == 1 ? "1 image was found by its name alone, not where its annotation says"
                                     : fmt::format(
                                           "{} images were found by their names alone, not where their "
                                           "annotations say",
                                           count);
  faults.push_back(
      {root,
       fmt::format("{}: {}: '{}' of {} is {}{}.", root.string(), how, first->name,
                   first->file.filename().string(), first->found.lexically_relative(root).string(),
                   count == 1 ? "" : ", for example"),
       FaultKind::found_by_name});
}

}  // namespace rcnn
