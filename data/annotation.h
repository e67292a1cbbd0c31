// One image's annotation in XML as Pascal VOC writes it, wherever the file lies, and datasets of such images.
//
// Coordinates in the XML are those of the first and last pixel, counted from 1. A box of ours is
// [xmin - 1, ymin - 1, xmax, ymax], the area that those pixels cover.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"

namespace rcnn {

/// An object as the XML has it: its class has no number yet, and its box may reach out of the image.
struct NamedObject {
  Object object;
  std::string name;
  std::string where;  // "object 3 (cat): 1 2 30 40", for reports
};

struct Annotation {
  std::filesystem::path file;
  std::string image_name;  // <filename> without folders; may be empty, or of another extension
  ImageSize said;          // <size>; 0 x 0 where it is missing
  std::vector<NamedObject> objects;
};

/// Reads an annotation, or gives nothing where the file is not one. Every fault, also of a single object that
/// is left out, is reported under the file's name. Throws InputError where the file cannot be opened.
/// <part> boxes inside an object are no objects.
std::optional<Annotation> read_annotation(const std::filesystem::path& file, std::vector<Fault>& faults);

/// True for an XML file whose first element is an <annotation>.
bool is_annotation_file(const std::filesystem::path& file);

struct AnnotatedImage {
  std::string id;
  std::filesystem::path image;
  ImageInfo info;
  Annotation annotation;
};

/// Makes the images of one split a dataset: boxes are turned where that is needed (see `find_boxes_to_turn`),
/// clipped, and labelled; `faults` go before those found here. With `classes` empty they are the sorted names
/// of the objects found.
///
/// Throws InputError, in which `what` names the images ("the images of the split 'train'"), where there is
/// none, no object is left from which to learn the classes' names, or `classes` has a name twice.
Dataset make_dataset(std::vector<AnnotatedImage> images, const std::vector<std::string>& classes,
                     std::vector<Fault> faults, const std::filesystem::path& root, const std::string& what);

/// True for a name that ends in .jpg, .jpeg or .png, in any case.
bool has_image_extension(const std::filesystem::path& file);

/// The images of one folder by their names.
class ImageFolder {
 public:
  /// A folder that does not exist has none.
  explicit ImageFolder(const std::filesystem::path& folder);

  /// The image of this name without extension; of several the one whose whole name is `preferred`, else .jpg
  /// before .jpeg before .png. Empty where there is none.
  std::filesystem::path find(const std::string& stem, const std::string& preferred = {}) const;

  /// The image that an annotation describes: the one of its own name, else the one that its <filename> names,
  /// whatever the extension, unless an annotation beside this one has that name. Empty where there is none.
  std::filesystem::path find_described(const Annotation& annotation) const;

 private:
  std::unordered_map<std::string, std::vector<std::filesystem::path>> by_stem_;
};

}  // namespace rcnn
