#include "data/labelled.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "core/files/look.h"
#include "core/text.h"
#include "data/coco_places.h"
#include "data/files.h"
#include "data/image_folder.h"
#include "data/image_index.h"
#include "data/inside.h"
#include "data/json_file.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

bool is_json(const fs::path& file) { return lower_case(file.extension().string()) == ".json"; }

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  if (!is_folder(folder)) return files;
  for (const fs::directory_entry& entry : entries_of(folder)) {
    const std::string extension = lower_case(entry.path().extension().string());
    if (is_file(entry) && (extension == ".xml" || extension == ".json" || extension == ".csv"))
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool has_labelme_files(const fs::path& root) {
  int tried = 0;
  bool found = false;
  walk_files(root, [&](const fs::path& file) {
    constexpr int kMaxTried = 50;
    if (is_json(file)) found = is_labelme_file(file) || found, ++tried;
    return !found && tried < kMaxTried;
  });
  return found;
}

/// Finds images by the names that annotations give them.
class ImagesByName {
 public:
  ImagesByName(const fs::path& root, std::string split) : root_(root), split_(std::move(split)) {
    walk_files(root, [&](const fs::path& file) {
      if (has_image_extension(file)) images_.push_back(file);
      return true;
    });
    std::sort(images_.begin(), images_.end());
    for (const fs::path& image : images_) {
      by_name_[image.filename().string()].push_back(&image);
      by_stem_[image.stem().string()].push_back(&image);
    }
  }

  /// The images whose paths end with a path, or the one that lies at it: without extensions if the path has
  /// none (Open Images' numbers). None of another split, and no mask.
  std::vector<fs::path> at_path(std::string name) const {
    std::replace(name.begin(), name.end(), '\\', '/');
    name = fs::path(name).lexically_normal().generic_string();
    std::vector<fs::path> fitting;
    const bool whole = has_image_extension(name);
    for (const fs::path* image : lookup(whole ? by_name_ : by_stem_, fs::path(name).filename().string())) {
      const fs::path relative = image->lexically_relative(root_);
      const std::string below = (whole ? relative : fs::path(relative).replace_extension()).generic_string();
      if (below == name) return {*image};
      const std::string other = split_in_folders(relative);
      if (below.ends_with("/" + name) && !holds_masks(relative.parent_path()) &&
          (split_.empty() || other.empty() || other == split_))
        fitting.push_back(*image);
    }
    return prefer_split(std::move(fitting));
  }

  const std::vector<fs::path>& images() const { return images_; }

 private:
  using Names = std::unordered_map<std::string, std::vector<const fs::path*>>;

  static std::vector<const fs::path*> lookup(const Names& names, const std::string& name) {
    const auto found = names.find(name);
    return found == names.end() ? std::vector<const fs::path*>() : found->second;
  }

  std::vector<fs::path> prefer_split(std::vector<fs::path> images) const {
    std::vector<fs::path> in_split;
    for (const fs::path& image : images)
      for (const fs::path& part : image.parent_path().lexically_relative(root_))
        if (!split_.empty() && usual_split(part.string()) == split_) {
          in_split.push_back(image);
          break;
        }
    return images.size() > 1 && in_split.size() == 1 ? in_split : images;
  }

  const fs::path root_;
  const std::string split_;
  std::vector<fs::path> images_;
  Names by_name_, by_stem_;
};

/// Finds the images of annotations and reads their headers.
class Matcher {
 public:
  Matcher(const fs::path& root, const std::string& split, const ReadOptions& options,
          std::vector<Fault>& faults)
      : root_(root),
        split_(split),
        index_(root, split),
        options_(options),
        stored_(options.exif_boxes == ExifBoxes::stored),
        faults_(faults) {}

  std::vector<AnnotatedImage> match(std::vector<Annotation> annotations) {
    std::vector<std::vector<fs::path>> found;
    for (const Annotation& annotation : annotations) {
      found.push_back(at_path(annotation));
      if (found.back().size() == 1) taken_.insert(found.back()[0]);
    }
    find_by_name(annotations, found);
    std::vector<AnnotatedImage> images;
    for (size_t i = 0; i < annotations.size(); ++i) {
      if (found[i].size() == 1)
        add(std::move(annotations[i]), found[i][0], images);
      else if (found[i].empty())
        (is_outside(annotations[i]) ? outside_ : missing_).push_back(printable(annotations[i].image_name));
      else
        report(annotations[i], fmt::format("fits {} images, {} and {} among them; it is skipped",
                                           found[i].size(), found[i][0].string(), found[i][1].string()));
    }
    if (!missing_.empty())
      faults_.push_back(
          {root_, fmt::format("{}: {} of {} annotated images {} missing ({}{}) and left out.", root_.string(),
                              missing_.size(), annotations.size(), missing_.size() == 1 ? "is" : "are",
                              missing_.front(), missing_.size() == 1 ? "" : " is the first")});
    if (!outside_.empty())
      faults_.push_back(
          {root_,
           fmt::format("{}: {} of {} annotated images {} left out: {} {}.", root_.string(), outside_.size(),
                       annotations.size(), outside_.size() == 1 ? "is" : "are", outside_.front(), kOutside)});
    return images;
  }

  void report_unannotated() { rcnn::report_unannotated(root_, index_.images(), described_, faults_); }

 private:
  /// Looks in the whole data set for the images of annotations that have none yet.
  void find_by_name(const std::vector<Annotation>& annotations, std::vector<std::vector<fs::path>>& found) {
    std::vector<LostImage> lost;
    std::vector<size_t> numbers;
    for (size_t i = 0; i < annotations.size(); ++i) {
      const Annotation& annotation = annotations[i];
      if (!found[i].empty() || annotation.image_name.empty()) continue;
      const fs::path below =
          annotation.part.empty() ? annotation.file.parent_path().lexically_relative(root_) : "";
      lost.push_back({annotation.file,
                      annotation.image_name,
                      {(below / annotation.image_name).generic_string()},
                      split_});
      numbers.push_back(i);
    }
    if (lost.empty()) return;
    ImageIndex(root_).match(lost, taken_);
    for (size_t k = 0; k < lost.size(); ++k)
      if (!lost[k].found.empty()) found[numbers[k]] = {lost[k].found};
    report_found(root_, lost, faults_);
  }

  std::vector<fs::path> at_path(const Annotation& annotation) const {
    const bool own_file = annotation.part.empty();
    // labelme's path is relative to the file, and the image beside the file often has its name only.
    if (own_file) {
      const fs::path folder = annotation.file.parent_path();
      std::string name = annotation.image_name;
      std::replace(name.begin(), name.end(), '\\', '/');
      for (const fs::path& path : {folder / name, folder / fs::path(name).filename()})
        if (std::error_code unusable;
            !name.empty() && may_read(root_, path, options_) && fs::is_regular_file(path, unusable))
          return {path.lexically_normal()};
      if (const fs::path beside = ImageFolder(folder).find(annotation.file.stem().string()); !beside.empty())
        return {beside};
    }
    return annotation.image_name.empty() ? std::vector<fs::path>() : index_.at_path(annotation.image_name);
  }

  /// Whether the annotation gives a path that may not be read.
  bool is_outside(const Annotation& annotation) const {
    std::string name = annotation.image_name;
    std::replace(name.begin(), name.end(), '\\', '/');
    return !may_read(root_, annotation.file.parent_path() / name, options_);
  }

  void add(Annotation annotation, const fs::path& image, std::vector<AnnotatedImage>& images) {
    if (!described_.insert(image).second)
      return report(annotation, fmt::format("describes {} a second time; it is skipped", image.string()));
    try {
      const ImageInfo info = read_image_info(image);
      if (annotation.in_shares) to_pixels(annotation, stored_ ? info.stored : info.seen);
      images.push_back({unique_id(image), image, info, std::move(annotation)});
    } catch (const InputError& error) {
      faults_.push_back({image, error.what()});
    }
  }

  static void to_pixels(Annotation& annotation, ImageSize size) {
    const auto w = static_cast<float>(size.width), h = static_cast<float>(size.height);
    for (NamedObject& object : annotation.objects) {
      Box& box = object.object.box;
      box = {box.x1 * w, box.y1 * h, box.x2 * w, box.y2 * h};
    }
  }

  std::string unique_id(const fs::path& image) {
    std::string id = escaped(image.stem().string());
    if (ids_.contains(id))
      id = escaped(fs::path(image).replace_extension().lexically_relative(root_).generic_string());
    while (!ids_.insert(id).second) id += "_";
    return id;
  }

  void report(const Annotation& annotation, const std::string& what) {
    faults_.push_back({annotation.file, fmt::format("{} {}.", annotation.subject(), what)});
  }

  const fs::path root_;
  const std::string split_;
  const ImagesByName index_;
  const ReadOptions& options_;
  const bool stored_;  // shares are those of the image before it is turned
  std::vector<Fault>& faults_;
  std::set<fs::path> taken_, described_;
  std::unordered_set<std::string> ids_;
  std::vector<std::string> missing_, outside_;
};

/// The folder around the annotations and the images.
fs::path base_of(const fs::path& root, const LabelledPlace& place) {
  if (place.form->one_image) return root;
  const fs::path& file = place.files.front();
  const fs::path own = file.has_parent_path() ? file.parent_path() : fs::path(".");
  return lower_case(own.filename().string()) == "annotations" ? (own / "..").lexically_normal() : own;
}

std::vector<fs::path> all_json_files(const fs::path& root) {
  std::vector<fs::path> files;
  walk_files(root, [&](const fs::path& file) {
    if (is_json(file)) files.push_back(file);
    return true;
  });
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

const LabelForm* label_form_of(const fs::path& file) {
  for (const LabelForm& form : label_forms())
    if (!form.one_image && form.fits(file)) return &form;
  return nullptr;
}

std::vector<LabelledPlace> find_labelled(const fs::path& folder) {
  if (has_labelme_files(folder)) {
    const auto labelme = std::find_if(label_forms().begin(), label_forms().end(),
                                      [](const LabelForm& form) { return form.one_image; });
    return {{&*labelme, "", all_json_files(folder)}};
  }
  std::vector<fs::path> files;
  for (const fs::path& place : {folder, folder / "annotations", folder / "Annotations"})
    for (fs::path& file : files_in(place)) files.push_back(std::move(file));
  const LabelForm* form = nullptr;
  for (const LabelForm& each : label_forms())
    if (!form && std::any_of(files.begin(), files.end(), each.fits)) form = &each;
  if (!form) return {};
  std::erase_if(files, [&](const fs::path& file) { return !form->fits(file); });
  std::map<std::string, fs::path> by_split;
  for (const fs::path& file : files) {
    const std::string name = file.stem().string(), split = split_in_name(name);
    if (!by_split.emplace(split.empty() && files.size() > 1 ? name : split, file).second)
      by_split.emplace(name, file);
  }
  std::vector<LabelledPlace> places;
  for (const auto& [split, file] : by_split) places.push_back({form, split, {file}});
  return places;
}

Dataset read_labelled(const fs::path& root, const LabelledPlace& place,
                      const std::vector<std::string>& classes, const ReadOptions& options) {
  std::vector<Fault> faults;
  std::vector<Annotation> annotations;
  for (const fs::path& file : place.files) try {
      if (place.form->one_image) {
        const JsonFile document(file);  // says what is wrong with the JSON
        if (!place.form->fits(file)) continue;
      }
      LabelledFile read = place.form->read(file);
      std::move(read.images.begin(), read.images.end(), std::back_inserter(annotations));
      std::move(read.faults.begin(), read.faults.end(), std::back_inserter(faults));
    } catch (const InputError& error) {
      if (!place.form->one_image) throw;
      faults.push_back({file, error.what()});
    }
  check_input(!annotations.empty() || !faults.empty(), "{} holds {}, but lists no image.",
              place.files.front().string(), place.form->description);
  Matcher matcher(base_of(root, place), place.split, options, faults);
  std::vector<AnnotatedImage> images = matcher.match(std::move(annotations));
  if (place.split.empty()) matcher.report_unannotated();  // otherwise they may belong to another split
  return make_dataset(std::move(images), classes, std::move(faults), place.files.front(),
                      "the annotated images", options);
}

}  // namespace rcnn
