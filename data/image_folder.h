// Finds the image that belongs to an annotation, by its name.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/annotation.h"

namespace rcnn {

/// True for a name that ends in .jpg, .jpeg, .jpe, .jfif, .png, .bmp, .webp, .tiff or .tif, in any case.
bool has_image_extension(const std::filesystem::path& file);

/// The images of one folder, by name.
class ImageFolder {
 public:
  /// A folder that does not exist has no images.
  explicit ImageFolder(const std::filesystem::path& folder);

  /// The image with this name without extension. Of several, the one whose whole name is `preferred`,
  /// otherwise the first by extension, in the order above. Empty if there is none.
  std::filesystem::path find(const std::string& stem, const std::string& preferred = {}) const;

  /// The image that an annotation describes: the one with its own name, or else the one that its <filename>
  /// names, with any extension, unless an annotation beside this one has that name. Empty if there is none.
  std::filesystem::path find_described(const Annotation& annotation) const;

  const std::vector<std::filesystem::path>& files() const { return files_; }

 private:
  std::vector<std::filesystem::path> files_;
  std::unordered_map<std::string, std::vector<std::filesystem::path>> by_stem_;
};

/// An annotation and its image, which may be empty.
struct ImageClaim {
  std::filesystem::path annotation, image;
};

/// Which annotations must give their image up: it only has the name that they say, not their own, and others
/// have it, too. Copies of one annotation name the same image.
std::vector<bool> find_shared_by_name(const std::vector<ImageClaim>& claims);

/// Adds one fault, that of `root`, for those of the `images` that are not `described`, with their number.
void report_unannotated(const std::filesystem::path& root, const std::vector<std::filesystem::path>& images,
                        const std::set<std::filesystem::path>& described, std::vector<Fault>& faults);

}  // namespace rcnn
