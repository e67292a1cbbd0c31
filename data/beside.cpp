#include "data/beside.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "core/error.h"
#include "core/files/look.h"
#include "core/text.h"
#include "data/annotation.h"
#include "data/coco_places.h"
#include "data/files.h"
#include "data/image_folder.h"
#include "data/image_index.h"
#include "data/names_left_out.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// Every annotation and image of a folder, sorted.
struct Found {
  std::vector<fs::path> annotations, images;
};

Found find_files(const fs::path& root) {
  Found found;
  walk_files(root, [&](const fs::path& file) {
    if (has_xml_extension(file)) found.annotations.push_back(file);
    if (has_image_extension(file)) found.images.push_back(file);
    return true;
  });
  std::sort(found.annotations.begin(), found.annotations.end());
  std::sort(found.images.begin(), found.images.end());
  return found;
}

class BesideReader {
 public:
  BesideReader(const fs::path& root, std::vector<Fault>& faults) : root_(root), faults_(faults) {}

  std::vector<AnnotatedImage> read() {
    const Found found = find_files(root_);
    std::vector<Entry> entries;
    for (const fs::path& file : found.annotations) try {
        if (std::optional<Annotation> annotation = read_annotation(file, faults_)) {
          fs::path image = find_image(*annotation);
          entries.push_back({std::move(*annotation), std::move(image), {}});
        }
      } catch (const InputError& error) {
        faults_.push_back({file, error.what(), FaultKind::bad_file});
      }
    give_up_shared(entries);
    find_lost(entries);
    std::vector<AnnotatedImage> images;
    for (Entry& entry : entries) try {
        if (std::optional<AnnotatedImage> image = read_one(entry)) images.push_back(std::move(*image));
      } catch (const InputError& error) {
        faults_.push_back({entry.annotation.file, error.what(), FaultKind::bad_image});
      }
    report_unannotated(root_, found.images, described_, faults_);
    return images;
  }

 private:
  struct Entry {
    Annotation annotation;
    fs::path image;     // empty if there is none
    std::string doubt;  // see LostImage
  };

  static void give_up_shared(std::vector<Entry>& entries) {
    std::vector<ImageClaim> claims;
    for (const Entry& entry : entries) claims.push_back({entry.annotation.file, entry.image});
    const std::vector<bool> shared = find_shared_by_name(claims);
    for (size_t i = 0; i < entries.size(); ++i)
      if (shared[i]) entries[i].image.clear();
  }

  /// Looks in all folders for the images that are not in a usual place.
  void find_lost(std::vector<Entry>& entries) {
    std::vector<LostImage> lost;
    std::set<fs::path> claimed;
    for (const Entry& entry : entries)
      if (entry.image.empty())
        lost.push_back(lost_image(entry.annotation));
      else
        claimed.insert(entry.image);
    if (lost.empty()) return;
    ImageIndex(root_).match(lost, claimed);
    report_found(root_, lost, faults_);
    auto next = lost.begin();
    for (Entry& entry : entries)
      if (entry.image.empty()) {
        entry.image = next->found;
        entry.doubt = next++->doubt;
      }
  }

  LostImage lost_image(const Annotation& annotation) const {
    const fs::path path = annotation.file.lexically_relative(root_);
    LostImage lost{annotation.file, annotation.image_name, {fs::path(path).replace_extension().string()}};
    if (!annotation.image_name.empty())
      lost.paths.push_back((path.parent_path() / annotation.image_name).string());
    return lost;
  }

  std::optional<AnnotatedImage> read_one(Entry& entry) {
    const fs::path &file = entry.annotation.file, &image = entry.image;
    if (image.empty()) {
      faults_.push_back(
          {file,
           fmt::format("{} has no image: {}; it is skipped.", file.string(),
                       entry.doubt.empty() ? fmt::format("there is no image with its name, and the image "
                                                         "'{}' that it names does not exist",
                                                         entry.annotation.image_name)
                                           : entry.doubt),
           FaultKind::missing_image});
      return std::nullopt;
    }
    described_.insert(image);
    const std::string id =
        escaped(fs::path(image).replace_extension().lexically_relative(root_).generic_string());
    if (const auto [other, is_new] = by_id_.emplace(id, file); !is_new) {
      faults_.push_back({file,
                         fmt::format("{} describes {}, as {} does already; it is skipped.", file.string(),
                                     image.string(), other->second.string()),
                         FaultKind::repeated});
      return std::nullopt;
    }
    const ImageInfo info = read_image_info(image);
    return AnnotatedImage{id, image, info, std::move(entry.annotation)};
  }

  fs::path find_image(const Annotation& annotation) {
    const fs::path folder = annotation.file.parent_path();
    std::vector<fs::path> places = {folder, folder / "images", folder / "JPEGImages"};
    if (folder != root_)
      places.insert(places.end(), {folder.parent_path() / "images", folder.parent_path() / "JPEGImages"});
    // In all places its own name first: the one in the annotation may be that of the file it was copied from.
    const std::string stem = annotation.file.stem().string();
    for (const fs::path& place : places)
      if (fs::path image = folder_at(place).find(stem, annotation.image_name); !image.empty()) return image;
    for (const fs::path& place : places)
      if (fs::path image = folder_at(place).find_described(annotation); !image.empty()) return image;
    return {};
  }

  const ImageFolder& folder_at(const fs::path& place) {
    return folders_.try_emplace(place, place).first->second;
  }

  const fs::path& root_;
  std::vector<Fault>& faults_;
  std::map<fs::path, ImageFolder> folders_;
  std::set<fs::path> described_;
  std::unordered_map<std::string, fs::path> by_id_;
};

/// The name in a line of a list, with slashes and without the extension of an image.
std::string listed_name(std::string line) {
  std::replace(line.begin(), line.end(), '\\', '/');
  fs::path path = line;
  return has_image_extension(path) ? path.replace_extension().string() : line;
}

/// The images that a list names, in its order, each once.
std::vector<AnnotatedImage> choose_listed(std::vector<AnnotatedImage> images, const fs::path& list,
                                          std::vector<Fault>& faults) {
  std::unordered_map<std::string, std::vector<size_t>> by_stem;
  for (size_t i = 0; i < images.size(); ++i) by_stem[images[i].image.stem().string()].push_back(i);
  std::vector<AnnotatedImage> chosen;
  std::set<size_t> taken;
  for (const std::string& line : read_lines(list)) {
    const std::string name = listed_name(line);
    std::vector<size_t> fitting = by_stem[fs::path(name).filename().string()];
    if (fitting.size() > 1)
      std::erase_if(fitting, [&](size_t i) {
        return !fs::path(images[i].image).replace_extension().generic_string().ends_with("/" + name);
      });
    if (fitting.size() != 1)
      faults.push_back({list,
                        fmt::format("{} lists {}, which fits {} annotated images; it is skipped.",
                                    list.string(), line, fitting.empty() ? "none of the" : "several"),
                        FaultKind::missing_image});
    else if (taken.insert(fitting[0]).second)
      chosen.push_back(images[fitting[0]]);
  }
  return chosen;
}

}  // namespace

bool holds_annotations(const fs::path& root, const fs::path& except) {
  bool found = false;
  walk_files(root, [&](const fs::path& file) {
    if (!except.empty() && file.string().starts_with(except.string() + "/")) return true;
    found = has_xml_extension(file) && is_annotation_file(file);
    return !found;
  });
  return found;
}

bool holds_images(const fs::path& root) {
  bool found = false;
  walk_files(root, [&](const fs::path& file) {
    found = has_image_extension(file);
    return !found;
  });
  return found;
}

std::map<std::string, fs::path> find_lists_beside(const fs::path& root, std::vector<std::string>& notes) {
  std::vector<fs::path> folders = {root};
  for (const char* part : {"imagesets", "main"})
    for (const fs::path& folder : std::vector(folders))
      for (const fs::directory_entry& entry : entries_of(folder))
        if (is_folder(entry) && lower_case(entry.path().filename().string()) == part)
          folders.push_back(entry.path());
  std::map<std::string, fs::path> lists;
  std::set<std::string> stems;
  for (const fs::path& folder : folders)
    for (const fs::directory_entry& entry : entries_of(folder)) {
      const std::string split = usual_split(entry.path().stem().string());
      if (split.empty() || lower_case(entry.path().extension().string()) != ".txt" || !is_file(entry))
        continue;
      if (stems.empty())
        for (const fs::path& annotation : find_files(root).annotations)
          stems.insert(annotation.stem().string());
      const std::vector<std::string> lines = read_lines(entry.path());
      if (std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
            return stems.contains(fs::path(listed_name(line)).filename().string());
          }))
        lists[split] = entry.path();
      else
        notes.push_back(fmt::format("{} names no annotated image; it is ignored.", entry.path().string()));
    }
  return lists;
}

std::string note_unlisted_beside(const fs::path& root, const std::map<std::string, fs::path>& lists) {
  if (lists.empty()) return {};
  std::vector<std::string> paths;  // of the annotations, without extension
  std::unordered_map<std::string, std::vector<size_t>> by_name;
  for (const fs::path& file : find_files(root).annotations) {
    by_name[file.stem().string()].push_back(paths.size());
    paths.push_back(fs::path(file).replace_extension().lexically_relative(root).generic_string());
  }
  std::vector<bool> listed(paths.size());
  std::vector<std::string> files;
  for (const auto& [split, list] : lists) {
    files.push_back(list.filename().string());
    for (const std::string& line : read_lines(list)) {
      const std::string name = listed_name(line);
      // Of several annotations of that name, those in that folder; all if none is, because the line may give
      // the folder of the image, which has another name than that of the annotation.
      const std::vector<size_t>& same = by_name[fs::path(name).filename().string()];
      const auto fits = [&](size_t i) { return ("/" + paths[i]).ends_with("/" + name); };
      const bool any = std::any_of(same.begin(), same.end(), fits);
      for (const size_t i : same)
        if (!any || fits(i)) listed[i] = true;
    }
  }
  NamesLeftOut unlisted;
  for (size_t i = 0; i < paths.size(); ++i)
    if (!listed[i]) unlisted.add(paths[i]);
  if (unlisted.count == 0) return {};
  return fmt::format("{}: {} in no list ({}) and {} left out.", root.string(),
                     unlisted.text("annotated image"), fmt::join(files, ", "),
                     unlisted.count == 1 ? "is" : "are");
}

std::vector<std::string> find_split_folders_beside(const fs::path& root, std::vector<std::string>& notes) {
  std::set<std::string> splits;
  size_t outside = 0;
  for (const fs::path& file : find_files(root).annotations)
    if (const std::string split = split_in_folders(file.lexically_relative(root)); !split.empty())
      splits.insert(split);
    else
      ++outside;
  if (splits.size() < 2) return {};
  if (outside > 0)
    notes.push_back(fmt::format("{}: {} XML file{} in no folder of a split; they are left out.",
                                root.string(), outside, outside == 1 ? " is" : "s are"));
  return {splits.begin(), splits.end()};
}

Dataset read_beside(const fs::path& root, const std::vector<std::string>& classes, const fs::path& list,
                    const ReadOptions& options, const std::string& split) {
  std::vector<Fault> faults;
  std::vector<AnnotatedImage> images = BesideReader(root, faults).read();
  if (!split.empty()) {
    const auto is_of_other = [&](const fs::path& file) {
      const std::string said = split_in_folders(file.lexically_relative(root));
      return !said.empty() && said != split;
    };
    std::erase_if(images, [&](const AnnotatedImage& image) {
      return split_in_folders(image.annotation.file.lexically_relative(root)) != split;
    });
    std::erase_if(faults, [&](const Fault& fault) { return is_of_other(fault.file); });
    return make_dataset(std::move(images), classes, std::move(faults), root,
                        fmt::format("the images of the split '{}'", split), options);
  }
  if (list.empty())
    return make_dataset(std::move(images), classes, std::move(faults), root, "the annotated images", options);
  images = choose_listed(std::move(images), list, faults);
  return make_dataset(std::move(images), classes, std::move(faults), root,
                      fmt::format("the images in {}", list.string()), options);
}

}  // namespace rcnn
