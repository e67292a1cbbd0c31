#include "data/coco_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <system_error>
#include <unordered_map>

#include "core/error.h"
#include "data/coco.h"
#include "data/coco_places.h"
#include "data/image_index.h"
#include "data/inside.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// The path of the image: its file_name, with either kind of slash, or what is left of it after the name of
/// the folder itself. Empty if there is none that may be read.
fs::path find_image(const fs::path& root, const fs::path& folder, const std::string& file_name,
                    const ReadOptions& options) {
  const fs::path slashes = with_slashes(file_name), parent = slashes.parent_path().lexically_normal();
  std::vector<fs::path> names = {file_name, slashes};
  const std::string whole = fmt::format("/{}", folder.lexically_normal().generic_string());
  if (whole.ends_with(fmt::format("/{}", parent.generic_string()))) names.push_back(slashes.filename());
  std::error_code unusable;  // a name that no file can have
  for (const fs::path& name : names)
    if (may_read(root, folder / name, options) && fs::is_regular_file(folder / name, unusable))
      return (folder / name).lexically_normal();
  return {};
}

/// The folder of the data set of a file, or that of its images if it lies elsewhere.
fs::path root_of(const fs::path& file, const fs::path& folder) {
  const fs::path root = coco_data_set(file);
  const std::string inner = folder.lexically_normal().lexically_relative(root).generic_string();
  return inner.empty() || inner.starts_with("..") ? folder : root;
}

/// Looks for the images that are not in the folder of a file's images in the whole data set.
class LostFinder {
 public:
  LostFinder(const fs::path& file, const fs::path& folder, const ReadOptions& options)
      : file_(file), folder_(folder), options_(options), root_(root_of(file, folder)) {}

  /// The results are in the order of the entries whose path in `found` is empty.
  std::vector<LostImage> find(const std::vector<std::string>& file_names, const std::vector<fs::path>& found,
                              std::vector<Fault>& faults) {
    for (size_t i = 0; i < file_names.size(); ++i) add(file_, folder_, file_names[i], found[i]);
    const size_t own = lost_.size();
    add_other_files();
    ImageIndex(root_).match(lost_, claimed_);
    lost_.resize(own);
    report_found(root_, lost_, faults);
    return std::move(lost_);
  }

 private:
  void add(const fs::path& file, const fs::path& folder, const std::string& name, const fs::path& found) {
    if (!found.empty()) {
      claimed_.insert(found);
      return;
    }
    const std::string inner = folder.lexically_normal().lexically_relative(root_).generic_string();
    lost_.push_back({file, name, {fmt::format("{}/{}", inner, name)}, split_in_name(file.stem().string())});
  }

  /// The other files of the data set have images, too, which are not for this one.
  void add_other_files() {
    std::set<std::string> known;  // paths that two files have are of one image
    for (const LostImage& lost : lost_)
      if (lost.name.find_first_of("/\\") != std::string::npos) known.insert(lost.name);
    for (const CocoPlace& other : find_coco_files(root_)) try {
        if (std::error_code unusable; fs::equivalent(other.file, file_, unusable)) continue;
        const fs::path folder = find_coco_images(other.file);
        for (const CocoImage& image : read_coco_file(other.file).images)
          if (!known.contains(image.file_name))
            add(other.file, folder, image.file_name, find_image(root_, folder, image.file_name, options_));
      } catch (const InputError&) {
        continue;  // reading that file reports it
      }
  }

  const fs::path& file_;
  const fs::path& folder_;
  const ReadOptions& options_;
  const fs::path root_;
  std::vector<LostImage> lost_;
  std::set<fs::path> claimed_;
};

class SampleImages {
 public:
  SampleImages(const fs::path& file, const fs::path& folder, const ReadOptions& options,
               std::vector<Fault>& faults)
      : file_(file), folder_(folder), options_(options), faults_(faults) {}

  void find(std::vector<Sample>& samples) {
    merge_repeated(samples);  // by their names
    find_images(samples);
    merge_repeated(samples);  // by their paths
  }

 private:
  /// Makes one sample of those that name the same image.
  void merge_repeated(std::vector<Sample>& samples) {
    std::unordered_map<std::string, size_t> first;
    std::vector<Sample> unique;
    for (Sample& sample : samples) {
      const std::string name = with_slashes(sample.image.string());
      const auto [earlier, is_new] = first.emplace(name, unique.size());
      if (name.empty() || is_new)
        unique.push_back(std::move(sample));
      else
        merge(sample, unique[earlier->second]);
    }
    samples = std::move(unique);
  }

  void merge(const Sample& repeated, Sample& into) {
    name_ = into.image.string();
    const auto says_otherwise = [](int a, int b) { return a != 0 && b != 0 && a != b; };
    const std::string both = fmt::format("is the image of two entries, with the ids {} and {}",
                                         into.coco_id.value_or(0), repeated.coco_id.value_or(0));
    if (says_otherwise(repeated.width, into.width) || says_otherwise(repeated.height, into.height))
      return report(fmt::format("{}, which give it different sizes; the second is skipped, with {} objects",
                                both, repeated.objects.size()),
                    FaultKind::repeated);
    size_t copies = 0;
    const size_t own = into.objects.size();
    for (const Object& object : repeated.objects)
      if (std::find(into.objects.begin(), into.objects.begin() + static_cast<std::ptrdiff_t>(own), object) !=
          into.objects.begin() + static_cast<std::ptrdiff_t>(own))
        ++copies;
      else
        into.objects.push_back(object);
    report(fmt::format("{}; they are read as one{}", both,
                       copies == 0 ? "" : fmt::format(", without {} repeated objects", copies)),
           FaultKind::repeated);
  }

  /// Sets the samples' images. Without one, there is a fault, and the path is empty.
  void find_images(std::vector<Sample>& samples) {
    std::vector<std::string> names;
    std::vector<fs::path> images;
    const fs::path root = root_of(file_, folder_);
    for (const Sample& sample : samples) {
      names.push_back(sample.image.string());
      images.push_back(find_image(root, folder_, names.back(), options_));
    }
    std::vector<LostImage> lost;
    if (std::any_of(images.begin(), images.end(), [](const fs::path& image) { return image.empty(); }))
      lost = LostFinder(file_, folder_, options_).find(names, images, faults_);
    auto next = lost.begin();
    for (size_t i = 0; i < samples.size(); ++i) {
      samples[i].image = images[i].empty() ? next->found : images[i];
      if (samples[i].image.empty()) {
        name_ = names[i];
        if (!may_read(root, folder_ / with_slashes(names[i]), options_))
          report(fmt::format("{}; the image is skipped", reason_not_to_read(names[i])),
                 FaultKind::missing_image);
        else
          report(fmt::format("does not exist in {}{}; the image is skipped", folder_.string(),
                             next->doubt.empty() ? "" : fmt::format(", and {}", next->doubt)),
                 FaultKind::missing_image);
      }
      if (images[i].empty()) ++next;
    }
  }

  void report(const std::string& what, FaultKind kind) {
    faults_.push_back({file_, fmt::format("{}: {} {}.", file_.string(), name_, what), kind});
  }

  const fs::path& file_;
  const fs::path& folder_;
  const ReadOptions& options_;
  std::vector<Fault>& faults_;
  std::string name_;  // of the current image
};

}  // namespace

std::string with_slashes(std::string name) {
  std::replace(name.begin(), name.end(), '\\', '/');
  return name;
}

void find_coco_sample_images(const fs::path& file, const fs::path& folder, const ReadOptions& options,
                             std::vector<Sample>& samples, std::vector<Fault>& faults) {
  SampleImages(file, folder, options, faults).find(samples);
}

}  // namespace rcnn
