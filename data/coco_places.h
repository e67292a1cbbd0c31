// Where COCO files and their images lie.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace rcnn {

/// "train", "val" or "test" where a name is one of the usual names of that split ("valid", "Training"), else
/// empty.
std::string usual_split(const std::string& name);

struct CocoPlace {
  std::filesystem::path file;
  std::string split;  // empty where it is the only file and its name says none
};

/// The COCO files in a folder and in its annotations/. The split is the one that a word of the file's name
/// says, whatever digits follow (instances_train2017.json, bccd_val.json), else the name itself. Of two files
/// for one split, instances_*.json goes first; the other keeps its whole name, but captions and key points
/// are left aside.
std::vector<CocoPlace> find_coco_files(const std::filesystem::path& folder);

/// The folder in which the file's images lie: of the file's own, the one around annotations/, and in both
/// images/, JPEGImages/, data/ and folders of the split's name, that in which most of a hundred of the images
/// are; the file's own where none is anywhere.
std::filesystem::path find_coco_images(const std::filesystem::path& file);

}  // namespace rcnn
