// What every reader of annotations produces and the loader takes: images by path, objects as boxes with a
// class.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/box.h"

namespace rcnn {

struct Object {
  Box box;
  int label = 0;           // 1..C; 0 is the background and never stands here
  bool difficult = false;  // VOC: kept out of training, ignored in evaluation
  bool crowd = false;      // COCO: a region that holds many; likewise
  /// COCO: of the object's outline, in square pixels, by which objects are called small or large. 0: the
  /// box's.
  double area = 0;
  bool proposal = false;  // no object, but a place to look at (see Sample::proposals), moved along with them
  bool operator==(const Object&) const = default;
};

/// Neither trained on nor asked for in evaluation.
inline bool is_ignored(const Object& object) { return object.difficult || object.crowd || object.proposal; }

struct Sample {
  std::string id;  // unique in its dataset
  std::filesystem::path image;
  int width = 0, height = 0;  // of the image as it is meant to be seen, turned as its EXIF entry says
  std::vector<Object> objects;
  std::optional<int64_t> coco_id = {};  // COCO: the image's number, under which results are filed
  /// Fast R-CNN: where to look, best first, inside the image; none: the detector's RPN says where.
  std::optional<std::vector<Box>> proposals = {};
};

/// Something wrong with a file that reading went on in spite of.
struct Fault {
  std::filesystem::path file;
  std::string what;  // one sentence that names the file
};

struct Dataset {
  std::vector<std::string> classes;  // without the background: label l is classes[l - 1]
  std::vector<Sample> samples;
  std::vector<Fault> faults;
  /// COCO: the categories' numbers, in the order of `classes`; empty elsewhere.
  std::vector<int64_t> category_ids = {};
  std::string name = {};  // of the split, for messages; may be empty
};

inline size_t count_boxes(const Dataset& dataset) {
  size_t count = 0;
  for (const Sample& sample : dataset.samples) count += sample.objects.size();
  return count;
}

/// The number of objects of each class, in the order of `classes`.
inline std::vector<size_t> count_boxes_by_class(const Dataset& dataset) {
  std::vector<size_t> counts(dataset.classes.size());
  for (const Sample& sample : dataset.samples)
    for (const Object& object : sample.objects) ++counts.at(static_cast<size_t>(object.label - 1));
  return counts;
}

}  // namespace rcnn
