// COCO's JSON: images, categories and boxes of one split in one file, and results.
//
// {"images": [{"id", "file_name", "width", "height"}], "categories": [{"id", "name"}],
//  "annotations": [{"image_id", "category_id", "bbox": [x, y, w, h], "area", "iscrowd"}]}
//
// Ids are any whole numbers. A bbox is in continuous pixel coordinates, as ours are, with width and height.
#pragma once

#include <cstdint>
#include <filesystem>
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
};

struct CocoAnnotation {
  int64_t image = 0, category = 0;  // ids
  double x = 0, y = 0, width = 0, height = 0;
  double area = 0;  // of the outline where the file says, else of the box
  bool crowd = false;
};

/// A results file's entry.
struct CocoResult {
  int64_t image = 0, category = 0;
  double x = 0, y = 0, width = 0, height = 0;
  double score = 0;
};

/// A file's content, in its order and in double.
struct CocoFile {
  std::vector<CocoImage> images;
  std::vector<CocoCategory> categories;
  std::vector<CocoAnnotation> annotations;
  std::vector<Fault> faults;  // entries that were left out
};

/// True for a JSON file with COCO's "images" and "annotations"; false for any other file.
bool is_coco_file(const std::filesystem::path& path);

/// Throws InputError naming the file, and where, for what is no JSON, lacks a part, or has an id twice. An
/// annotation that names an unknown image or category, or whose bbox is not four finite numbers, is a fault.
CocoFile read_coco_file(const std::filesystem::path& path);

/// A list of detections, as COCO's evaluators take it. Throws InputError naming the file and the entry.
std::vector<CocoResult> read_coco_results(const std::filesystem::path& path);

/// A file's split as a dataset; the images lie in `folder`. Labels follow the order of the categories' ids,
/// or that of `classes` where given. Images without annotations are kept; boxes are checked, clipped and
/// reported as by `read_voc`, and images as well.
Dataset read_coco(const std::filesystem::path& file, const std::filesystem::path& folder,
                  const std::vector<std::string>& classes = {});

}  // namespace rcnn
