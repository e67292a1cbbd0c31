// XML annotations in the form of Pascal VOC, one per image, wherever they lie, and datasets of such images.
//
// Coordinates in the XML are those of the first and last pixel, counted from 1. Our box is
// [xmin - 1, ymin - 1, xmax, ymax], the area that these pixels cover.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"

namespace rcnn {

/// An object as the XML has it: its class has no number yet, and its box may reach beyond the image.
struct NamedObject {
  Object object;
  std::string name;
  std::string where;  // "object 3 (cat): 1 2 30 40", for reports
};

struct Annotation {
  std::filesystem::path file;
  std::string image_name;  // <filename> without folders; may be empty or have another extension
  ImageSize said;          // <size>; 0 x 0 if it is missing
  std::vector<NamedObject> objects;
  std::string part = {};       // what describes this image in a file that describes several
  bool in_shares = false;      // the file gives the boxes as shares of the image's sides, from 0 to 1
  int64_t bytes = 0;           // of the image's file; 0 if the form has no place for them
  bool form_has_sizes = true;  // false: the form has no place for `said`, so that it is not missed

  /// The file, and the part of it, for reports.
  std::string subject() const { return part.empty() ? file.string() : file.string() + ": " + part; }
};

/// Reads an annotation, or returns nothing if the file is not one. Every fault, including that of a single
/// object that is left out, is reported under the file's name. <part> boxes inside an object are not objects.
/// Throws InputError if the file cannot be opened.
std::optional<Annotation> read_annotation(const std::filesystem::path& file, std::vector<Fault>& faults);

/// <stem>.xml in a folder, also with an extension in capitals; empty if there is none.
std::filesystem::path find_annotation(const std::filesystem::path& folder, const std::string& stem);

/// True for a name that ends in .xml, in any case.
bool has_xml_extension(const std::filesystem::path& file);

/// True for an XML file with an <annotation> as its first level.
bool is_annotation_file(const std::filesystem::path& file);

struct AnnotatedImage {
  std::string id;
  std::filesystem::path image;
  ImageInfo info;
  Annotation annotation;
};

/// Makes a dataset of the images of one split: boxes are turned if necessary (see `find_box_frames`),
/// scaled if `options` say so, clipped and labelled; `faults` go before those found here. If `classes` is
/// empty, the classes are the sorted names of the objects found.
///
/// Throws InputError, in which `what` names the images ("the images of the split 'train'"), if there is no
/// image, if no object is left from which to learn the names of the classes, or if `classes` has a name
/// twice.
Dataset make_dataset(std::vector<AnnotatedImage> images, const std::vector<std::string>& classes,
                     std::vector<Fault> faults, const std::filesystem::path& root, const std::string& what,
                     const ReadOptions& options = {});

}  // namespace rcnn
