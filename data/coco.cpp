#include "data/coco.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <system_error>
#include <unordered_map>
#include <unordered_set>

#include "core/counted.h"
#include "core/error.h"
#include "core/text.h"
#include "data/class_limits.h"
#include "data/class_names.h"
#include "data/clip.h"
#include "data/coco_images.h"
#include "data/image.h"
#include "data/normalised.h"
#include "data/orientation.h"
#include "data/rescale.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// The label that the boxes of a category get. Categories that are not listed are left out.
struct Labels {
  std::vector<std::string> names;
  std::vector<int64_t> ids;  // one per name
  std::unordered_map<int64_t, int> by_category;
};

std::unordered_map<int64_t, size_t> count_annotations(const CocoFile& file) {
  std::unordered_map<int64_t, size_t> counts;
  for (const CocoAnnotation& annotation : file.annotations) ++counts[annotation.category];
  return counts;
}

/// Whether a category is only the supercategory of others and has no boxes itself.
class Headings {
 public:
  Headings(const CocoFile& file, const std::unordered_map<int64_t, size_t>& counts) : counts_(counts) {
    for (const CocoCategory& category : file.categories) {
      ++below_[category.supercategory];
      if (category.supercategory == category.name) own_.insert(category.id);
    }
  }
  bool contains(const CocoCategory& category) const {
    const auto found = below_.find(category.name);
    return !counts_.contains(category.id) && found != below_.end() &&
           found->second > (own_.contains(category.id) ? 1u : 0u);
  }

 private:
  const std::unordered_map<int64_t, size_t>& counts_;
  std::unordered_map<std::string, size_t> below_;  // the number of categories with this supercategory
  std::unordered_set<int64_t> own_;                // categories that are their own supercategory
};

/// One class per name, in the order of the ids.
Labels find_labels(const CocoFile& file, std::vector<Fault>& faults) {
  const std::unordered_map<int64_t, size_t> counts = count_annotations(file);
  const Headings headings(file, counts);
  std::vector<CocoCategory> categories;
  for (const CocoCategory& category : file.categories)
    if (!headings.contains(category)) categories.push_back(category);
  std::sort(categories.begin(), categories.end(),
            [](const CocoCategory& a, const CocoCategory& b) { return a.id < b.id; });

  Labels labels;
  std::unordered_map<std::string, size_t> by_name;
  for (const CocoCategory& category : categories) {
    const auto [same, is_new] = by_name.emplace(category.name, labels.names.size());
    const size_t index = same->second;
    if (is_new) {
      labels.names.push_back(category.name);
      labels.ids.push_back(category.id);
    } else {
      faults.push_back(
          {file.path,
           fmt::format("{} has two categories named '{}', {} and {}; they are read as one class.",
                       file.path.string(), category.name, labels.ids[index], category.id),
           FaultKind::repeated});
      if (!counts.contains(labels.ids[index])) labels.ids[index] = category.id;
    }
    labels.by_category[category.id] = static_cast<int>(index) + 1;
  }
  check_input(!labels.names.empty(), "{} has no categories, so there is no class to learn.",
              file.path.string());
  return labels;
}

/// Takes the smallest non-negative number that is not taken yet.
int64_t take_free_id(std::set<int64_t>& taken) {
  int64_t id = 0;
  while (!taken.insert(id).second) ++id;
  return id;
}

/// The labels of the given classes. Other categories of the file are reported if they have boxes.
Labels match_labels(const CocoFile& file, const std::vector<std::string>& classes,
                    std::vector<Fault>& faults) {
  const std::unordered_map<int64_t, size_t> counts = count_annotations(file);
  std::set<int64_t> taken;
  for (const CocoCategory& category : file.categories) taken.insert(category.id);
  std::map<std::string, size_t> left_out;  // boxes by name

  Labels labels;
  labels.names = classes;
  std::unordered_map<std::string, size_t> by_name;
  for (const std::string& name : classes) by_name.emplace(name, by_name.size());
  check_input(by_name.size() == classes.size(), "The class names {} contain a name twice.",
              fmt::join(classes, ", "));
  std::vector<std::optional<int64_t>> ids(classes.size());
  for (const CocoCategory& category : file.categories) {
    const auto found = by_name.find(category.name);
    const auto count = counts.find(category.id);
    if (found == by_name.end()) {
      if (count != counts.end()) left_out[category.name] += count->second;
      continue;
    }
    const size_t index = found->second;
    labels.by_category[category.id] = static_cast<int>(index) + 1;
    if (!ids[index] || (!counts.contains(*ids[index]) && count != counts.end())) ids[index] = category.id;
  }
  for (const std::optional<int64_t>& id : ids) labels.ids.push_back(id ? *id : take_free_id(taken));
  for (const auto& [name, count] : left_out)
    faults.push_back(
        {file.path,
         fmt::format("{} has {} of the unknown class '{}', which {} skipped (the classes are {}).",
                     file.path.string(), counted(count, "object"), name, count == 1 ? "is" : "are",
                     list_names(classes)),
         FaultKind::unknown_class});
  return labels;
}

/// The file name without folder and extension, made longer if another sample has that id.
std::string unique_id(const CocoImage& image, std::unordered_set<std::string>& taken) {
  std::string id = escaped(fs::path(with_slashes(image.file_name)).stem().string());
  if (id.empty() || taken.contains(id)) id += fmt::format("_{}", image.id);
  while (!taken.insert(id).second) id += "_";
  return id;
}

Box as_box(const CocoAnnotation& annotation) {
  return {static_cast<float>(annotation.x), static_cast<float>(annotation.y),
          static_cast<float>(annotation.x + annotation.width),
          static_cast<float>(annotation.y + annotation.height)};
}

/// Checks images and their boxes, and reports under the JSON file's name.
class SampleChecker {
 public:
  SampleChecker(const fs::path& file, const fs::path& folder, const ReadOptions& options, Dataset& dataset)
      : file_(file), folder_(folder), options_(options), dataset_(dataset) {}

  /// Keeps those of the `samples` that can be used. Their images are still the file_names.
  void keep(std::vector<Sample> samples) {
    std::vector<SizeClaim> claims;
    std::vector<Sample> found;
    find_coco_sample_images(file_, folder_, options_, samples, dataset_.faults);
    for (Sample& sample : samples)
      if (const std::optional<ImageInfo> info = read_info(sample)) {
        claims.push_back({*info, {sample.width, sample.height}});
        found.push_back(std::move(sample));
      }
    const auto [turned, uncertain] = find_box_frames(claims, options_.exif_boxes);
    report_uncertain(found, uncertain);
    std::vector<SizePair> sizes;
    for (size_t i = 0; i < claims.size(); ++i)
      sizes.push_back({claims[i].said, turned[i] ? claims[i].image.stored : claims[i].image.seen});
    const std::optional<double> factor = common_factor(sizes);
    common_ = factor.has_value();
    if (factor)
      dataset_.faults.push_back(common_factor_fault(file_, "its images", *factor, options_.rescale_boxes));
    for (size_t i = 0; i < found.size(); ++i) keep(std::move(found[i]), claims[i], turned[i]);
  }

 private:
  void report_uncertain(std::vector<Sample>& samples, std::vector<size_t> uncertain) {
    std::erase_if(uncertain, [&](size_t i) { return samples[i].objects.empty(); });
    for (const size_t i : uncertain) samples[i].frame_is_guessed = true;
    if (!uncertain.empty())
      dataset_.faults.push_back(uncertain_frames_note(file_, uncertain.size(), samples[uncertain[0]].image));
  }

  /// What the header of the sample's image says, or nothing if the image cannot be used.
  std::optional<ImageInfo> read_info(const Sample& sample) {
    if (sample.image.empty()) return std::nullopt;
    try {
      return read_image_info(sample.image);
    } catch (const InputError& error) {
      dataset_.faults.push_back({sample.image, error.what(), FaultKind::bad_image});
      return std::nullopt;
    }
  }

  /// If `turned`, the boxes are those of the image as it is stored.
  void keep(Sample sample, const SizeClaim& claim, bool turned) {
    const ImageInfo& info = claim.image;
    const ImageSize size = turned ? info.stored : info.seen;
    name_ = sample.image.lexically_relative(folder_.lexically_normal()).string();
    if (turned && !sample.objects.empty())
      dataset_.faults.push_back(turned_boxes_note(file_, sample.image, claim, options_.exif_boxes));
    const bool disagrees = sample.width != 0 && sample.height != 0 && size != claim.said;
    if (disagrees && !common_) {
      const auto [what, kind] = size_fault({claim.said, size}, options_.rescale_boxes);
      report(fmt::format("is given {}", what), kind);
    }
    const BoxScale scale = options_.rescale_boxes ? box_scale({claim.said, size}) : BoxScale{};
    sample.width = info.seen.width;
    sample.height = info.seen.height;
    std::vector<Object> usable;
    for (Object& object : sample.objects) {
      object.box = scale(object.box);
      object.area *= static_cast<double>(scale.x) * static_cast<double>(scale.y);
    }
    for (size_t i = 0; i < sample.objects.size(); ++i)
      if (const std::optional<Box> box = check_box(sample.objects[i], i + 1, size)) {
        usable.push_back(sample.objects[i]);
        usable.back().box = turned ? turn_box(*box, info.orientation, info.stored) : *box;
      }
    sample.objects = std::move(usable);
    dataset_.samples.push_back(std::move(sample));
  }

  std::optional<Box> check_box(const Object& object, size_t number, ImageSize size) {
    const auto [x1, y1, x2, y2] = object.box;
    const std::string where =
        fmt::format("object {} ({}): {} {} {} {}", number,
                    dataset_.classes[static_cast<size_t>(object.label - 1)], x1, y1, x2 - x1, y2 - y1);
    if (x2 < x1 || y2 < y1) {
      report(fmt::format("has a box of negative width or height, {}; the object is skipped", where),
             FaultKind::empty_box);
      return std::nullopt;
    }
    if (x1 == x2 || y1 == y2) {
      report(fmt::format("has a box of zero area, {}; the object is skipped", where), FaultKind::empty_box);
      return std::nullopt;
    }
    return clip_to_image(object.box, size, where,
                         [this](FaultKind kind, const std::string& fault) { report(fault, kind); });
  }

  void report(const std::string& what, FaultKind kind) {
    dataset_.faults.push_back({file_, fmt::format("{}: {} {}.", file_.string(), name_, what), kind});
  }

  const fs::path& file_;
  const fs::path& folder_;
  const ReadOptions& options_;
  bool common_ = false;  // one fault says that the sizes of all images disagree
  Dataset& dataset_;
  std::string name_;  // of the current image
};

}  // namespace

Dataset make_coco_dataset(const CocoFile& file, const std::vector<std::string>& classes) {
  Dataset dataset;
  dataset.faults = file.faults;
  check_class_count(file.path.string(), file.categories.size());
  Labels labels =
      classes.empty() ? find_labels(file, dataset.faults) : match_labels(file, classes, dataset.faults);

  check_class_names(file.path.string(), labels.names);
  std::unordered_map<int64_t, size_t> sample_of;
  std::unordered_set<std::string> taken;
  NormalisedBoxes normalised;
  for (const CocoImage& image : file.images) {
    sample_of.emplace(image.id, dataset.samples.size());
    dataset.samples.push_back(
        {unique_id(image, taken), image.file_name, image.width, image.height, {}, image.id});
  }
  for (const CocoAnnotation& annotation : file.annotations) {
    const Sample& sample = dataset.samples[sample_of.at(annotation.image)];
    normalised.add(as_box(annotation), {sample.width, sample.height});
    const auto label = labels.by_category.find(annotation.category);
    if (label == labels.by_category.end()) continue;
    dataset.samples[sample_of.at(annotation.image)].objects.push_back(
        {as_box(annotation), label->second, annotation.ignore, annotation.crowd, annotation.area});
  }
  normalised.check(file.path.string());
  dataset.classes = std::move(labels.names);
  dataset.category_ids = std::move(labels.ids);
  return dataset;
}

Dataset read_coco(const fs::path& file, const fs::path& folder, const std::vector<std::string>& classes,
                  const ReadOptions& options) {
  Dataset labelled = make_coco_dataset(read_coco_file(file), classes);
  Dataset dataset;
  dataset.classes = std::move(labelled.classes);
  dataset.category_ids = std::move(labelled.category_ids);
  dataset.faults = std::move(labelled.faults);
  const size_t listed = labelled.samples.size();
  SampleChecker(file, folder, options, dataset).keep(std::move(labelled.samples));
  check_input(!dataset.samples.empty(), "{}: none of its {} images can be used; the first fault: {}",
              file.string(), listed,
              count_faults(dataset.faults) == 0 ? "it lists no image." : first_fault(dataset.faults));
  return dataset;
}

}  // namespace rcnn
