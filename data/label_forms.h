// The forms of annotation files that are read in the same way: a reader makes a list of images with objects
// of a file, and read_labelled (data/labelled.h) finds the images and makes a dataset of them.
//
//   cvat         CVAT for images 1.1: one XML file            data/cvat.cpp
//   via          VGG Image Annotator: one JSON file           data/via.cpp
//   csv          TensorFlow's table: filename,width,height,class,xmin,ymin,xmax,ymax   data/tf_csv.cpp
//   open-images  Open Images: ImageID,LabelName,XMin,XMax,YMin,YMax                    data/open_images.cpp
//   labelme      labelme: one JSON file per image             data/labelme.cpp
//
// Coordinates of all of them are continuous, like our boxes. An outline (a polygon, a circle, a turned box)
// becomes the box around it; a point or a line is a fault.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/annotation.h"

namespace rcnn {

/// What a file says of its images. `Annotation::image_name` is the name or the path of the image as the file
/// gives it, and may lack the extension.
struct LabelledFile {
  std::vector<Annotation> images;
  std::vector<Fault> faults;
};

struct LabelForm {
  const char* name;         // DataFolder::form
  const char* description;  // for messages
  bool one_image;           // each file describes one image
  /// Whether a file is of this form. Does not throw.
  bool (*fits)(const std::filesystem::path& file);
  /// Throws InputError naming the file if it cannot be read at all. Single objects are faults.
  LabelledFile (*read)(const std::filesystem::path& file);
};

std::span<const LabelForm> label_forms();

bool is_cvat_file(const std::filesystem::path& file);
bool is_via_file(const std::filesystem::path& file);
bool is_tf_csv_file(const std::filesystem::path& file);
bool is_open_images_file(const std::filesystem::path& file);
bool is_labelme_file(const std::filesystem::path& file);

LabelledFile read_cvat(const std::filesystem::path& file);
LabelledFile read_via(const std::filesystem::path& file);
LabelledFile read_tf_csv(const std::filesystem::path& file);
LabelledFile read_open_images(const std::filesystem::path& file);
LabelledFile read_labelme(const std::filesystem::path& file);

/// Collects the objects of the images of a file, with checks that are the same for every form.
class LabelCollector {
 public:
  explicit LabelCollector(const std::filesystem::path& file) : file_(file) {}

  /// The image of this name, and of a file of as many bytes; a new one if there is none yet. Valid until the
  /// next call.
  Annotation& image(const std::string& name, ImageSize said, bool form_has_sizes, int64_t bytes = 0);

  bool has_image(const std::string& name, int64_t bytes = 0) const {
    return by_name_.contains({name, bytes});
  }

  /// Adds an object to an image, unless its name or its box cannot be used, which is a fault. `what` names
  /// it: "line 3", "region 2".
  void add(Annotation& image, std::string_view name, const BoxOf<double>& box, const std::string& what,
           bool crowd = false);

  /// A fault of a part of the file: "<file>: <what> <fault>."
  void report(const std::string& what, const std::string& fault, FaultKind kind = FaultKind::bad_object);

  LabelledFile take() { return std::move(result_); }

 private:
  const std::filesystem::path& file_;
  LabelledFile result_;
  std::map<std::pair<std::string, int64_t>, size_t> by_name_;
};

/// The smallest box around points; nothing without a point, or with one that is not a number below 1e9.
class PointBounds {
 public:
  void add(std::optional<double> x, std::optional<double> y);
  std::optional<BoxOf<double>> box() const;

 private:
  BoxOf<double> box_;
  size_t count_ = 0;
  bool usable_ = true;
};

}  // namespace rcnn
