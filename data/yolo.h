// YOLO: one text file of labels per image, and data.yaml with the names of the classes and the splits.
//
// A line of labels/a.txt, for images/a.jpg, is `class centre-x centre-y width height`, or `class x y x y ...`
// for the corners of an outline, of which the box around it is taken. Coordinates are shares of the image's
// width and height, as the image is seen.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"

namespace rcnn {

struct NamedObject;

/// A folder with labels of YOLO. No image and no label has been read yet.
struct YoloData {
  std::filesystem::path root;
  std::filesystem::path names_file;  // the file that gives the names of the classes; empty if there is none
  std::vector<std::string> names;    // of the classes, by their numbers
  bool has_keypoints = false;        // a box is followed by points, which are not read
  /// The folders of images, and the lists of images (.txt), of each split; "" if there are no splits.
  std::map<std::string, std::vector<std::filesystem::path>> splits;
  std::vector<std::string> notes;
};

/// What data.yaml says, with paths as they are written.
struct YoloYaml {
  std::vector<std::string> names;
  bool has_keypoints = false;
  std::string path;                                        // the folder to which the others are relative
  std::map<std::string, std::vector<std::string>> splits;  // by the name of the key
  std::vector<std::string> notes;
};

/// Whether a key of data.yaml is one that is known not to be a split.
bool is_yolo_key(const std::string& key);

/// Throws InputError naming the file if it is not YAML or gives no names of classes.
YoloYaml read_yolo_yaml(const std::filesystem::path& file);

/// The file data.yaml of a folder, or another .yaml or .yml with "names" and a split in it; empty if there is
/// none.
std::filesystem::path find_yolo_yaml(const std::filesystem::path& folder);

/// True if the folder has such a file, or labels of YOLO for the images in it or in its folder images/.
bool is_yolo(const std::filesystem::path& folder);

/// The splits and classes of a folder for which `is_yolo` holds, or of a file data.yaml. Without data.yaml,
/// splits are the folders images/train/, images/val/ and images/test/, or else lists train.txt, val.txt and
/// test.txt, and the names of the classes are the lines of classes.txt, obj.names or _darknet.labels, in the
/// folder, in labels/ or around the folder.
///
/// A path in data.yaml that does not exist is looked for by its end, because exports write paths of another
/// machine. A missing test or validation split is left out with a note. Throws InputError if the training
/// images are missing.
YoloData find_yolo(const std::filesystem::path& path);

/// The split as a dataset whose classes are those given or else all named ones, in their order. The label of
/// .../images/x/a.jpg is .../labels/x/a.txt, or a.txt beside the image, or in labels/ beside its folder. An
/// id is the path of the image below its folder of images, without extension. An image with an empty label is
/// one without objects; those without a label are left out and counted in one fault. Other faults and errors
/// are those of `read_voc`. Throws InputError if nothing gives the names of the classes.
Dataset read_yolo(const YoloData& data, const std::string& split,
                  const std::vector<std::string>& classes = {}, const ReadOptions& options = {});

/// The objects in a file of labels of an image of this size. Lines that cannot be used are faults. Corners
/// that lie outside the image by less than a ten-thousandth of its side are moved to its edge: labels have
/// six digits.
std::vector<NamedObject> read_yolo_labels(const std::filesystem::path& file, const YoloData& data,
                                          ImageSize image, std::vector<Fault>& faults);

}  // namespace rcnn
