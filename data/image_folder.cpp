#include "data/image_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>

#include "core/files/look.h"
#include "core/text.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtensions[] = {".jpg", ".jpeg", ".jpe",  ".jfif", ".png",
                                            ".bmp", ".webp", ".tiff", ".tif"};

/// The position of a file's extension among those of images, or their number if it is none of them.
size_t rank_of_extension(const fs::path& file) {
  const std::string extension = lower_case(file.extension().string());
  return static_cast<size_t>(std::find(std::begin(kExtensions), std::end(kExtensions), extension) -
                             std::begin(kExtensions));
}

}  // namespace

bool has_image_extension(const fs::path& file) { return rank_of_extension(file) < std::size(kExtensions); }

ImageFolder::ImageFolder(const fs::path& folder) {
  if (!is_folder(folder)) return;
  for (const fs::directory_entry& entry : entries_of(folder))
    if (has_image_extension(entry.path()) && !entry.path().filename().string().starts_with('.'))
      files_.push_back(entry.path());
  std::sort(files_.begin(), files_.end());
  std::stable_sort(files_.begin(), files_.end(), [](const fs::path& a, const fs::path& b) {
    return rank_of_extension(a) < rank_of_extension(b);
  });
  for (const fs::path& file : files_) by_stem_[file.stem().string()].push_back(file);
}

fs::path ImageFolder::find(const std::string& stem, const std::string& preferred) const {
  const auto found = by_stem_.find(stem);
  if (found == by_stem_.end()) return {};
  for (const fs::path& file : found->second)
    if (file.filename() == preferred) return file;
  return found->second.front();
}

fs::path ImageFolder::find_described(const Annotation& annotation) const {
  const std::string& name = annotation.image_name;
  if (const fs::path own = find(annotation.file.stem().string(), name); !own.empty()) return own;
  fs::path named = find(fs::path(name).stem().string(), name);
  if (named.empty()) named = find(name);  // a name with a dot and without an extension
  if (named.empty() || !find_annotation(annotation.file.parent_path(), named.stem().string()).empty())
    return {};
  return named;
}

std::vector<bool> find_shared_by_name(const std::vector<ImageClaim>& claims) {
  std::map<fs::path, size_t> counts;
  for (const ImageClaim& claim : claims)
    if (!claim.image.empty()) ++counts[claim.image];
  std::vector<bool> shared;
  for (const auto& [annotation, image] : claims)
    shared.push_back(!image.empty() && counts[image] > 1 && annotation.stem() != image.stem());
  return shared;
}

void report_unannotated(const fs::path& root, const std::vector<fs::path>& images,
                        const std::set<fs::path>& described, std::vector<Fault>& faults) {
  size_t count = 0;
  fs::path first;
  for (const fs::path& image : images)
    if (!described.contains(image) && count++ == 0) first = image;
  if (count > 0)
    faults.push_back(
        {root,
         fmt::format("{} has {} image{} without an annotation ({}{}), which {} left out.", root.string(),
                     count, count == 1 ? "" : "s", first.lexically_relative(root).string(),
                     count == 1 ? "" : " is the first", count == 1 ? "is" : "are"),
         FaultKind::unannotated});
}

}  // namespace rcnn
