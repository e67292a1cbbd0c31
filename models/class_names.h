// The names of a detector's classes where its file does not have them: COCO's, or those in a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace rcnn {

struct ClassNames {
  std::vector<std::string> names;  // without the background
  std::vector<int64_t> category_ids;
};

/// The number of classes of a detector that torchvision trained on COCO. COCO numbers its 80 categories from
/// 1 to 90, and torchvision's labels are these numbers.
inline constexpr int64_t kCocoIds = 90;

/// The categories 1 to kCocoIds. The ten that the data set does not have are called "N/A (12)", ...
ClassNames coco_classes();

/// The lines of a text file, of which there must be `count`; blank lines, and a first line "background" or
/// "__background__" beyond that number, are left out. Throws InputError naming the file if it cannot be read,
/// is not UTF-8, has another number of names or has one twice.
std::vector<std::string> read_class_names(const std::filesystem::path& path, int64_t count);

}  // namespace rcnn
