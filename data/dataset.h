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
  /// The EXIF entry turns the image, and nothing tells whether the boxes were drawn before or after that, so
  /// that a default decided (data/orientation.h).
  bool frame_is_guessed = false;
};

/// What an entry of Dataset::faults is about. Entries of one kind are counted and listed together
/// (data/faults.h), in this order.
enum class FaultKind {
  other,
  other_scale,    // all images of a dataset have another size than their annotations say (data/rescale.h)
  bad_file,       // a file of annotations that cannot be read
  missing_image,  // an annotation without its image
  bad_image,      // an image whose header cannot be read
  undecodable,    // an image whose pixels cannot be read although its header can
  unannotated,    // images that no annotation describes
  repeated,       // a second entry for an image or a class
  image_size,     // an image has another size than its annotation says, or that says none
  reversed_box,   // its lower right corner lies above or to the left of the upper left one
  empty_box,      // no area
  box_outside,    // wholly outside of the image
  box_partly_outside,  // clipped to the image
  bad_object,          // an object that cannot be read
  no_class,            // an object without the name of a class
  unknown_class,       // an object of a class that the data does not have
  // Notes: nothing is wrong.
  found_by_name,  // an image that does not lie where its annotation says (data/image_index.h)
  exif,           // which boxes belong to the image before it is turned (data/orientation.h)
  rescaled        // boxes that were scaled because --rescale-boxes says so
};

/// Whether entries of this kind only say how the data was read.
inline bool is_note(FaultKind kind) { return kind >= FaultKind::found_by_name; }

/// A fault of a file that did not stop the reader, or a note about how it was read.
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
  std::vector<Fault> faults;  // and notes
  /// COCO: the numbers of the categories in the order of `classes`; empty for other data.
  std::vector<int64_t> category_ids = {};
  std::string name = {};  // of the split, for messages; may be empty
};

/// The number of entries that are not notes.
inline size_t count_faults(const std::vector<Fault>& entries) {
  size_t count = 0;
  for (const Fault& entry : entries) count += is_note(entry.kind) ? 0 : 1;
  return count;
}

/// The sentence of the first fault that is not a note; empty if there is none.
inline std::string first_fault(const std::vector<Fault>& entries) {
  for (const Fault& entry : entries)
    if (!is_note(entry.kind)) return entry.what;
  return {};
}

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
