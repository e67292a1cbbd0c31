// What every annotation reader produces and the loader takes: images by path, objects as boxes with a class.
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
  int label = 0;           // 1..C; 0 is the background and does not occur here
  bool difficult = false;  // VOC: not trained on, ignored in evaluation
  bool crowd = false;      // COCO: a region with many objects; treated like `difficult`
  /// COCO: the area of the object's outline in square pixels, by which objects count as small or large. 0:
  /// use the area of the box.
  double area = 0;
  bool proposal = false;  // not an object but one of Sample::proposals, moved along with the objects
  bool operator==(const Object&) const = default;
};

/// Whether the object is neither trained on nor counted in evaluation.
inline bool is_ignored(const Object& object) { return object.difficult || object.crowd || object.proposal; }

struct Sample {
  std::string id;  // unique in its dataset
  std::filesystem::path image;
  int width = 0, height = 0;  // of the image as it is meant to be seen, turned by its EXIF orientation
  std::vector<Object> objects;
  std::optional<int64_t> coco_id = {};  // COCO: the image's number, which results files use
  /// Fast R-CNN: the proposals inside the image, best first; none: they come from the detector's RPN.
  std::optional<std::vector<Box>> proposals = {};
};

/// The kinds of faults that label_advice (eval/advice.h) counts or repeats, and `undecodable`, of an image
/// whose pixels cannot be read although its header can. `other_scale` is the fault of all images of a dataset
/// (data/rescale.h). The lower right corner of a reversed box lies above or to the left of the upper left
/// one.
enum class FaultKind { other, reversed_box, box_partly_outside, box_outside, undecodable, other_scale };

/// A fault of a file that did not stop the reader.
struct Fault {
  std::filesystem::path file;
  std::string what;  // one sentence that names the file
  FaultKind kind = FaultKind::other;
};

/// To which image boxes refer if its EXIF entry turns it: as it is seen, or as it is stored. `automatic`:
/// what the annotation's sizes tell (data/orientation.h).
enum class ExifBoxes { automatic, seen, stored };

/// How the readers of annotations treat what can be read in two ways.
struct ReadOptions {
  /// Scale the boxes of an image that has another size than its annotation says, as if it had been resized.
  bool rescale_boxes = false;
  ExifBoxes exif_boxes = ExifBoxes::automatic;
  /// Read images that annotations name outside of the folder of the data (data/inside.h).
  bool allow_outside = false;
};

struct Dataset {
  std::vector<std::string> classes;  // without the background: label l is classes[l - 1]
  std::vector<Sample> samples;
  std::vector<Fault> faults;
  /// COCO: the numbers of the categories in the order of `classes`; empty for other data.
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
