#include "data/beside.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "core/error.h"
#include "data/annotation.h"

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

bool is_xml(const fs::path& file) { return file.extension() == ".xml" || file.extension() == ".XML"; }

Found find_files(const fs::path& root) {
  Found found;
  walk(root, [&](const fs::path& file) {
    if (is_xml(file)) found.annotations.push_back(file);
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
    report_unannotated(found.images);
    return images;
  }

 private:
  std::optional<AnnotatedImage> read_one(const fs::path& file) {
    std::optional<Annotation> annotation = read_annotation(file, faults_);
    if (!annotation) return std::nullopt;
    const fs::path image = find_image(*annotation);
    if (image.empty()) {
      faults_.push_back(
          {file,
           fmt::format("{} has no image: there is no .jpg, .jpeg or .png with its name, and the image '{}' "
                       "that it names does not exist; it is skipped.",
                       file.string(), annotation->image_name)});
      return std::nullopt;
    }
    described_.insert(image);
    const std::string id = fs::path(image).replace_extension().lexically_relative(root_).generic_string();
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

  void report_unannotated(const std::vector<fs::path>& images) {
    size_t count = 0;
    fs::path first;
    for (const fs::path& image : images)
      if (!described_.contains(image) && count++ == 0) first = image;
    if (count > 0)
      faults_.push_back(
          {root_,
           fmt::format("{} has {} image{} without an annotation ({}{}), which {} left out.", root_.string(),
                       count, count == 1 ? "" : "s", first.lexically_relative(root_).string(),
                       count == 1 ? "" : " is the first", count == 1 ? "is" : "are")});
  }

  const fs::path& root_;
  std::vector<Fault>& faults_;
  std::map<fs::path, ImageFolder> folders_;
  std::set<fs::path> described_;
  std::unordered_map<std::string, fs::path> by_id_;
};

}  // namespace

bool holds_annotations(const fs::path& root) {
  bool found = false;
  walk(root, [&](const fs::path& file) {
    found = is_xml(file) && is_annotation_file(file);
    return !found;
  });
  return found;
}

Dataset read_beside(const fs::path& root, const std::vector<std::string>& classes) {
  std::vector<Fault> faults;
  std::vector<AnnotatedImage> images = BesideReader(root, faults).read();
  return make_dataset(std::move(images), classes, std::move(faults), root, "the annotated images");
}

}  // namespace rcnn
