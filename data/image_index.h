// Finds the image of an annotation in folders that are not in a usual place, by its name.
//
// Two names fit if they are the same after normalising: either kind of slash, no extension of an image, no
// distinction of capitals, letters and their marks composed (data/name_key.h). A folder named for what it
// holds does not distinguish anything: "train_annotations/xmls/a.xml" and "train_images/a.jpg" are both
// "train/a".
#pragma once

#include <cstddef>
#include <filesystem>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/dataset.h"

namespace rcnn {

/// An entry of an annotation whose image is not in the usual places.
struct LostImage {
  std::filesystem::path file;  // the annotation that faults name
  std::string name;            // of the image, for faults
  std::vector<std::string>
      paths;               // below the data set's folder; the first for which there are images decides
  std::string split = {};  // "train", "val" or "test", if the entry is known to be of one
  std::filesystem::path found = {};
  std::string doubt = {};  // why there is none although images with that name exist
};

/// All images of a folder, at any depth, sorted.
std::vector<std::filesystem::path> images_below(const std::filesystem::path& root);

/// All images of a data set, at any depth, by their names. Masks are none (see holds_masks).
class ImageIndex {
 public:
  explicit ImageIndex(const std::filesystem::path& root) : ImageIndex(root, images_below(root)) {}
  /// The same for those who have listed the images already.
  ImageIndex(const std::filesystem::path& root, const std::vector<std::filesystem::path>& images);

  /// Sets `found` or `doubt` of each. The image of an entry is the one in the same folder, or else the one
  /// whose path has most of its folders, or the only one anywhere. It is none if several are left, if it is
  /// among `claimed` (the images of other entries), if it fits two entries, or if it lies in another folder
  /// although there is one like the entry's, or although it is the folder of other entries, or the one of
  /// another split.
  void match(std::vector<LostImage>& lost, const std::set<std::filesystem::path>& claimed) const;

 private:
  struct Name {
    std::vector<std::string> folders;
    std::string stem;
    bool operator==(const Name&) const = default;
  };
  static Name normalise(std::string path);
  std::vector<size_t> find(const Name& name) const;
  void choose(LostImage& lost, const std::set<std::string>& spoken_of) const;

  std::filesystem::path root_;
  std::vector<std::filesystem::path> files_;
  std::vector<Name> names_;  // one per file
  std::unordered_map<std::string, std::vector<size_t>> by_stem_;
  std::set<std::string> last_folders_;
};

/// Says in one note how many of the entries were found, and which is the first. None is added for none.
void report_found(const std::filesystem::path& root, const std::vector<LostImage>& lost,
                  std::vector<Fault>& faults);

/// Whether a folder of the path is named as one that holds masks, depths or other pictures that are made of
/// photographs and named like them.
bool holds_masks(const std::filesystem::path& folders);

/// The split ("train", "val", "test") of which the folders of a path speak; empty if none does, or if several
/// do.
std::string split_in_folders(const std::filesystem::path& path);

}  // namespace rcnn
