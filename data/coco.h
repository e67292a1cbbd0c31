// COCO's JSON: images, categories and boxes of one split in one file, and results.
//
// {"images": [{"id", "file_name", "width", "height"}], "categories": [{"id", "name"}],
//  "annotations": [{"image_id", "category_id", "bbox": [x, y, w, h], "area", "iscrowd"}]}
//
// Ids are any whole numbers. A bbox is in continuous pixel coordinates, as ours are, with width and height.
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
  int width = 0, height = 0;  // 0 where the file does not say
};

struct CocoCategory {
  int64_t id = 0;
  std::string name;
  std::string supercategory = {};  // empty where the file does not say
};

struct CocoAnnotation {
  int64_t image = 0, category = 0;  // ids
  double x = 0, y = 0, width = 0, height = 0;
  double area = 0;  // of the outline where the file says, else of the box
  bool crowd = false;
  /// Neither asked for nor, once found, wrong. Such an annotation takes one detection, a crowd any number.
  /// COCO's files cannot say this; it is where VOC's `difficult` goes.
  bool ignore = false;
};

/// A results file's entry.
struct CocoResult {
  int64_t image = 0, category = 0;
  double x = 0, y = 0, width = 0, height = 0;
  double score = 0;
};

/// A file's content, in its order and in double.
struct CocoFile {
  std::filesystem::path path;
  std::vector<CocoImage> images;
  std::vector<CocoCategory> categories;
  std::vector<CocoAnnotation> annotations;
  std::vector<Fault> faults;  // entries that were left out
};

/// True for a JSON file with COCO's "images" and "annotations"; false for any other file.
bool is_coco_file(const std::filesystem::path& path);

/// Throws InputError naming the file, and where, for what is no JSON, lacks a part, or has an id of an image
/// or a category twice. An annotation that names an unknown image or category, or whose bbox is not four
/// numbers below 1e9, is a fault. The annotations' own ids are not read: merged files have some twice.
CocoFile read_coco_file(const std::filesystem::path& path);

/// What the names in a results file stand for, which ours has where the data has no numbers.
struct CocoNumbers {
  std::map<std::string, int64_t> images;  // for an image_id that is text
  /// For a category_name. Where this is empty, the category_id decides; where not, the data has names alone:
  /// an entry must have its category_name, and an image_id that is a number is taken for a name.
  std::map<std::string, int64_t> categories;
  bool any_category = false;  // of proposals: it is not read, and stays 0
};

/// A list of detections, as COCO's evaluators take it. Throws InputError naming the file and the entry.
std::vector<CocoResult> read_coco_results(const std::filesystem::path& path, const CocoNumbers& numbers = {});

/// The file as a dataset, boxes as they stand; no image is looked at, and `Sample::image` is the file_name.
/// An id is the image's file name without folder and extension, and with its number where that is taken.
///
/// Without `classes` they are the categories in the order of their ids, except that
///  - a category that has no annotation and is the supercategory of another one is left out: labelling tools
///    write such a heading beside the classes;
///  - categories of one name become one class, which is reported; its number is the first that has
///    annotations.
/// With `classes`, annotations of other names are left out, and reported once a name. A class that the file
/// lacks gets a number that the file does not use.
Dataset make_coco_dataset(const CocoFile& file, const std::vector<std::string>& classes = {});

/// A file's split as a dataset; the images lie in `folder`, under their file_name or its last part. Labels
/// are those of `make_coco_dataset`. Images without annotations are kept; boxes are checked, clipped and
/// reported as by `read_voc`, and images as well.
Dataset read_coco(const std::filesystem::path& file, const std::filesystem::path& folder,
                  const std::vector<std::string>& classes = {});

}  // namespace rcnn
