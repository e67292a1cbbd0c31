// COCO's JSON files: the images, categories and boxes of one split in one file, and results files.
//
// {"images": [{"id", "file_name", "width", "height"}], "categories": [{"id", "name"}],
//  "annotations": [{"image_id", "category_id", "bbox": [x, y, w, h], "area", "iscrowd"}]}
//
// Ids are arbitrary integers. A bbox is in continuous pixel coordinates, like our boxes, with width and
// height.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace rcnn {

struct CocoImage {
  int64_t id = 0;
  std::string file_name;
  int width = 0, height = 0;  // 0 if the file does not say
};

struct CocoCategory {
  int64_t id = 0;
  std::string name;
  std::string supercategory = {};  // empty if the file does not say
};

struct CocoAnnotation {
  int64_t image = 0, category = 0;  // ids
  double x = 0, y = 0, width = 0, height = 0;
  double area = 0;  // of the outline if the file gives it, otherwise of the box
  bool crowd = false;
  /// Evaluation neither counts it as missed nor counts a detection of it as wrong. Such an annotation matches
  /// one detection, a crowd any number. COCO itself has no place for this. It is used for objects that VOC
  /// marks as `difficult`, a key that this program's own files have.
  bool ignore = false;
};

/// An entry of a results file.
struct CocoResult {
  int64_t image = 0, category = 0;
  double x = 0, y = 0, width = 0, height = 0;
  double score = 0;
};

/// The content of a file, in its order and in double precision.
struct CocoFile {
  std::filesystem::path path;
  std::vector<CocoImage> images;
  std::vector<CocoCategory> categories;
  std::vector<CocoAnnotation> annotations;
  std::vector<Fault> faults;  // entries that were left out
};

/// True for a JSON file with COCO's "images" and "annotations", and for one that was meant as such but is cut
/// off or otherwise not JSON: reading it reports the fault. False for any other file.
bool is_coco_file(const std::filesystem::path& path);

/// Throws InputError naming the file and the place if the file is not JSON, lacks a part, or has the id of an
/// image or of a category for two different ones; a repeated entry is a fault. An annotation that names an
/// unknown image or category, or whose bbox is not four numbers below 1e9, is a fault. Without a bbox, the
/// box is the one around its polygons. Numbers may be written as text. The ids of the annotations are not
/// read: merged files repeat some.
CocoFile read_coco_file(const std::filesystem::path& path);

/// The numbers that the names in a results file stand for. Our results files have names if the data has no
/// numbers.
struct CocoNumbers {
  std::map<std::string, int64_t> images;  // for an image_id that is a string
  /// For a category_name. If this is empty, the category_id is read. Otherwise the data has only names: an
  /// entry must have its category_name, and an image_id that is a number is taken as a name.
  std::map<std::string, int64_t> categories;
  bool any_category = false;  // for proposals: the category is not read and stays 0
};

/// A list of detections in the form that COCO's evaluators take. Throws InputError naming the file and the
/// entry.
std::vector<CocoResult> read_coco_results(const std::filesystem::path& path, const CocoNumbers& numbers = {});

/// The file as a dataset, with its boxes unchanged. No image is opened, and `Sample::image` is the file_name.
/// An id is the file name of the image without folder and extension, followed by its number if that id is
/// taken.
///
/// If `classes` is empty, the classes are the categories in the order of their ids, except that
///  - a category that has no annotation and is the supercategory of another one is left out: labelling tools
///    write such a heading among the classes;
///  - categories with the same name become one class, which is reported; its number is the first one that has
///    annotations.
/// Otherwise annotations of other classes are left out, and reported once per name. A class that the file
/// lacks gets a number that the file does not use.
///
/// Throws InputError if all boxes look normalised (data/normalised.h).
Dataset make_coco_dataset(const CocoFile& file, const std::vector<std::string>& classes = {});

/// The split in a file as a dataset. The images lie in `folder`, under their file_name or its last part.
/// Labels are those of `make_coco_dataset`. Images without annotations are kept. Images and boxes are checked
/// and reported as by `read_voc`, and boxes are clipped. Entries of one image are a fault, and are read as
/// one unless they give it different sizes.
Dataset read_coco(const std::filesystem::path& file, const std::filesystem::path& folder,
                  const std::vector<std::string>& classes = {}, const ReadOptions& options = {});

}  // namespace rcnn
