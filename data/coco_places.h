// Where COCO files and their images lie.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace rcnn {

/// "train", "val" or "test" if a name is one of the usual names of that split ("valid", "Training"),
/// otherwise empty.
std::string usual_split(const std::string& name);

/// The split that a word of a name stands for, with or without digits after it ("instances_train2017"); empty
/// if no word does, or if two words disagree.
std::string split_in_name(const std::string& name);

struct CocoPlace {
  std::filesystem::path file;
  std::string split;  // empty if it is the only file and its name gives no split
};

/// The COCO files in a folder and in its annotations/. The split is the one that a word of the file name
/// stands for, with or without digits after it (instances_train2017.json, bccd_val.json), otherwise the name
/// itself. Of two files for one split, instances_*.json gets the split, and the other is listed under its
/// whole name; files of captions and key points are left out.
std::vector<CocoPlace> find_coco_files(const std::filesystem::path& folder);

/// The folder that holds the images of a file. Candidates are the file's own folder, the one around
/// annotations/, and in both of them images/, JPEGImages/, data/ and folders named after the split. The one
/// that has the largest number of a sample of about a hundred images is taken, or the file's own folder if no
/// candidate has any.
std::filesystem::path find_coco_images(const std::filesystem::path& file);

/// The folder of the data set of which a file is part: its own folder, or the one around annotations/.
std::filesystem::path coco_data_set(const std::filesystem::path& file);

/// That folder, or the one of the file's images, `folder`, if it lies elsewhere.
std::filesystem::path coco_root(const std::filesystem::path& file, const std::filesystem::path& folder);

}  // namespace rcnn
