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
  ImagesByName(const fs::path& root, std::string split)
      : root_(root), split_(std::move(split)), images_(images_below(root)) {
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
  const std::vector<fs::path> images_;
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
    const std::vector<bool> others = find_other_files(annotations, found);
    std::vector<AnnotatedImage> images;
    for (size_t i = 0; i < annotations.size(); ++i) {
      if (others[i])
        report(annotations[i],
               fmt::format("of {} bytes is not the only entry with that name, and {} has another size; it is "
                           "skipped",
                           annotations[i].bytes, found[i][0].string()),
               FaultKind::repeated);
      else if (found[i].size() == 1)
        add(std::move(annotations[i]), found[i][0], images);
      else if (found[i].empty())
        (is_outside(annotations[i]) ? outside_[reason_not_to_read(annotations[i].image_name)] : missing_)
            .push_back(printable(annotations[i].image_name));
      else
        report(annotations[i],
               fmt::format("fits {} images, {} and {} among them; it is skipped", found[i].size(),
                           found[i][0].string(), found[i][1].string()),
               FaultKind::missing_image);
    }
    if (!missing_.empty())
      faults_.push_back(
          {root_,
           fmt::format("{}: {} of {} annotated images {} missing ({}{}) and left out.", root_.string(),
                       missing_.size(), annotations.size(), missing_.size() == 1 ? "is" : "are",
                       missing_.front(), missing_.size() == 1 ? "" : " is the first"),
           FaultKind::missing_image});
    for (const auto& [reason, names] : outside_)
      faults_.push_back(
          {root_,
           fmt::format("{}: {} of {} annotated images {} left out: {} {}.", root_.string(), names.size(),
                       annotations.size(), names.size() == 1 ? "is" : "are", names.front(), reason),
           FaultKind::missing_image});
    return images;
  }

  void report_unannotated() { rcnn::report_unannotated(root_, index_.images(), described_, faults_); }

 private:
  /// Which annotations are of another file than the one that was found: of several with one name but with
  /// different numbers of bytes, those that do not have the number of the file.
  static std::vector<bool> find_other_files(const std::vector<Annotation>& annotations,
                                            const std::vector<std::vector<fs::path>>& found) {
    std::map<fs::path, std::vector<size_t>> by_image;
    for (size_t i = 0; i < annotations.size(); ++i)
      if (found[i].size() == 1 && annotations[i].bytes > 0) by_image[found[i][0]].push_back(i);
    std::vector<bool> others(annotations.size());
    for (const auto& [image, entries] : by_image) {
      std::error_code unreadable;
      const auto bytes = static_cast<int64_t>(fs::file_size(image, unreadable));
      if (entries.size() > 1)
        for (const size_t i : entries) others[i] = annotations[i].bytes != bytes;
    }
    return others;
  }

  /// Looks in the whole data set for the images of annotations that have none yet.
  void find_by_name(const std::vector<Annotation>& annotations, std::vector<std::vector<fs::path>>& found) {
    std::vector<LostImage> lost;
    std::vector<size_t> numbers;
    for (size_t i = 0; i < annotations.size(); ++i) {
      const Annotation& annotation = annotations[i];
      if (!found[i].empty() || annotation.image_name.empty()) continue;
      const fs::path below =
          annotation.part.empty() ? annotation.file.parent_path().lexically_relative(root_) : "";
      lost.push_back({annotation.file, annotation.image_name, {}, split_});
      if (annotation.part.empty())
        lost.back().paths.push_back((below / annotation.file.stem()).generic_string());
      lost.back().paths.push_back((below / annotation.image_name).generic_string());
      numbers.push_back(i);
    }
    if (lost.empty()) return;
    ImageIndex(root_, index_.images()).match(lost, taken_);
    for (size_t k = 0; k < lost.size(); ++k)
      if (!lost[k].found.empty()) found[numbers[k]] = {lost[k].found};
    report_found(root_, lost, faults_);
  }

  std::vector<fs::path> at_path(const Annotation& annotation) {
    std::vector<fs::path> images;
    const bool own_file = annotation.part.empty();
    if (own_file) images = around_file(annotation);
    if (images.empty() && !annotation.image_name.empty()) images = index_.at_path(annotation.image_name);
    if (own_file)
      std::erase_if(images, [&](const fs::path& image) { return is_of_other(image, annotation); });
    return images;
  }

  /// Whether an image has the name of another file of annotations in the same folder, and not that of this
  /// one.
  static bool is_of_other(const fs::path& image, const Annotation& annotation) {
    std::error_code unusable;
    fs::path other = annotation.file.parent_path() / image.stem();
    other += annotation.file.extension();
    return image.stem() != annotation.file.stem() && fs::exists(other, unusable);
  }

  /// The image of labelme's file. Its path is relative to the file, and the image beside the file often has
  /// only the name. An image with the file's own name is preferred to another one that the path names: paths
  /// are those of the images at the time of labelling, or of the file from which this one was copied.
  std::vector<fs::path> around_file(const Annotation& annotation) {
    const fs::path folder = annotation.file.parent_path();
    const std::string stem = annotation.file.stem().string();
    std::string name = annotation.image_name;
    std::replace(name.begin(), name.end(), '\\', '/');
    const fs::path said = fs::path(name).filename();
    std::vector<fs::path> named;
    for (const fs::path& path : {folder / name, folder / said})
      if (std::error_code unusable; named.empty() && !name.empty() && may_read(root_, path, options_) &&
                                    fs::is_regular_file(path, unusable))
        named = {path.lexically_normal()};
    if (!named.empty() && named[0].stem() == stem) return named;
    const auto [images, is_new] = folders_.try_emplace(folder, folder);
    std::vector<fs::path> own;
    for (const fs::path& image : images->second.files())
      if (image.stem() == stem) own.push_back(image);
    if (!own.empty()) {
      if (own.size() == 1)
        faults_.push_back({annotation.file,
                           fmt::format("{} names the image '{}', but has the name of {}, which is used.",
                                       annotation.file.string(), printable(annotation.image_name),
                                       own[0].filename().string()),
                           FaultKind::found_by_name});
      return own;
    }
    return named;
  }

  /// Whether the annotation gives a path that may not be read.
  bool is_outside(const Annotation& annotation) const {
    std::string name = annotation.image_name;
    std::replace(name.begin(), name.end(), '\\', '/');
    return !may_read(root_, annotation.file.parent_path() / name, options_);
  }

  void add(Annotation annotation, const fs::path& image, std::vector<AnnotatedImage>& images) {
    if (!described_.insert(image).second)
      return report(annotation, fmt::format("describes {} a second time; it is skipped", image.string()),
                    FaultKind::repeated);
    try {
      const ImageInfo info = read_image_info(image);
      if (annotation.in_shares) to_pixels(annotation, stored_ ? info.stored : info.seen);
      images.push_back({unique_id(image), image, info, std::move(annotation)});
    } catch (const InputError& error) {
      faults_.push_back({image, error.what(), FaultKind::bad_image});
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

  void report(const Annotation& annotation, const std::string& what, FaultKind kind) {
    faults_.push_back({annotation.file, fmt::format("{} {}.", annotation.subject(), what), kind});
  }

  const fs::path root_;
  const std::string split_;
  const ImagesByName index_;
  const ReadOptions& options_;
  const bool stored_;  // shares are those of the image before it is turned
  std::vector<Fault>& faults_;
  std::map<fs::path, ImageFolder> folders_;
  std::set<fs::path> taken_, described_;
  std::unordered_set<std::string> ids_;
  std::vector<std::string> missing_;
  std::map<std::string, std::vector<std::string>> outside_;  // by the reason not to read them
};

/// The folder around the annotations and the images.
fs::path base_of(const fs::path& root, const LabelledPlace& place) {
  if (place.form->one_image) return root;
  const fs::path& file = place.files.front();
  const fs::path own = file.has_parent_path() ? file.parent_path() : fs::path(".");
  return is_annotation_folder(own) ? (own / "..").lexically_normal() : own;
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
  for (const fs::path& place : annotation_places(folder))
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
      faults.push_back({file, error.what(), FaultKind::bad_file});
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
