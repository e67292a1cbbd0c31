#include "data/beside.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "core/error.h"
#include "core/text.h"
#include "data/annotation.h"
#include "data/coco_places.h"
#include "data/files.h"
#include "data/image_folder.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// Every annotation and image of a folder, sorted.
struct Found {
  std::vector<fs::path> annotations, images;
};

bool is_hidden(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with('.') || name == "__MACOSX";
}

/// Calls `visit` with each file until it returns false.
template <class Visit>
void walk(const fs::path& root, const Visit& visit) {
  const auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator it(root, options), end; it != end; ++it) {
    if (is_hidden(it->path())) {
      if (it->is_directory()) it.disable_recursion_pending();
    } else if (it->is_regular_file() && !visit(it->path())) {
      return;
    }
  }
}

Found find_files(const fs::path& root) {
  Found found;
  walk(root, [&](const fs::path& file) {
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
    std::vector<AnnotatedImage> images;
    for (const fs::path& file : found.annotations) try {
        if (std::optional<AnnotatedImage> image = read_one(file)) images.push_back(std::move(*image));
      } catch (const InputError& error) {
        faults_.push_back({file, error.what()});
      }
    report_unannotated(root_, found.images, described_, faults_);
    return images;
  }

 private:
  std::optional<AnnotatedImage> read_one(const fs::path& file) {
    std::optional<Annotation> annotation = read_annotation(file, faults_);
    if (!annotation) return std::nullopt;
    const fs::path image = find_image(*annotation);
    if (image.empty()) {
      faults_.push_back(
          {file, fmt::format("{} has no image: there is no image with its name, and the image '{}' "
                             "that it names does not exist; it is skipped.",
                             file.string(), annotation->image_name)});
      return std::nullopt;
    }
    described_.insert(image);
    const std::string id =
        escaped(fs::path(image).replace_extension().lexically_relative(root_).generic_string());
    if (const auto [other, is_new] = by_id_.emplace(id, file); !is_new) {
      faults_.push_back({file, fmt::format("{} describes {}, as {} does already; it is skipped.",
                                           file.string(), image.string(), other->second.string())});
      return std::nullopt;
    }
    const ImageInfo info = read_image_info(image);
    return AnnotatedImage{id, image, info, std::move(*annotation)};
  }

  fs::path find_image(const Annotation& annotation) {
    const fs::path folder = annotation.file.parent_path();
    std::vector<fs::path> places = {folder, folder / "images", folder / "JPEGImages"};
    if (folder != root_)
      places.insert(places.end(), {folder.parent_path() / "images", folder.parent_path() / "JPEGImages"});
    for (const fs::path& place : places) {
      const auto [images, is_new] = folders_.try_emplace(place, place);
      if (fs::path image = images->second.find_described(annotation); !image.empty()) return image;
    }
    return {};
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
      faults.push_back({list, fmt::format("{} lists {}, which fits {} annotated images; it is skipped.",
                                          list.string(), line, fitting.empty() ? "none of the" : "several")});
    else if (taken.insert(fitting[0]).second)
      chosen.push_back(images[fitting[0]]);
  }
  return chosen;
}

}  // namespace

bool holds_annotations(const fs::path& root, const fs::path& except) {
  bool found = false;
  walk(root, [&](const fs::path& file) {
    if (!except.empty() && file.string().starts_with(except.string() + "/")) return true;
    found = has_xml_extension(file) && is_annotation_file(file);
    return !found;
  });
  return found;
}

bool holds_images(const fs::path& root) {
  bool found = false;
  walk(root, [&](const fs::path& file) {
    found = has_image_extension(file);
    return !found;
  });
  return found;
}

std::map<std::string, fs::path> find_lists_beside(const fs::path& root, std::vector<std::string>& notes) {
  std::vector<fs::path> folders = {root};
  for (const char* part : {"imagesets", "main"})
    for (const fs::path& folder : std::vector(folders))
      for (const fs::directory_entry& entry : fs::directory_iterator(folder))
        if (entry.is_directory() && lower_case(entry.path().filename().string()) == part)
          folders.push_back(entry.path());
  std::map<std::string, fs::path> lists;
  std::set<std::string> stems;
  for (const fs::path& folder : folders)
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      const std::string split = usual_split(entry.path().stem().string());
      if (split.empty() || lower_case(entry.path().extension().string()) != ".txt" ||
          !entry.is_regular_file())
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

Dataset read_beside(const fs::path& root, const std::vector<std::string>& classes, const fs::path& list,
                    const ReadOptions& options) {
  std::vector<Fault> faults;
  std::vector<AnnotatedImage> images = BesideReader(root, faults).read();
  if (list.empty())
    return make_dataset(std::move(images), classes, std::move(faults), root, "the annotated images", options);
  images = choose_listed(std::move(images), list, faults);
  return make_dataset(std::move(images), classes, std::move(faults), root,
                      fmt::format("the images in {}", list.string()), options);
}

}  // namespace rcnn
