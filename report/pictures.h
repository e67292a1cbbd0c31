// The pictures of the report: images scaled down, with what the diagnosis says about the boxes in them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/augment.h"
#include "report/report.h"

namespace rcnn {

/// A training image after augmentation, as the model sees it, but without padding.
struct TrainingExample {
  std::string id;
  AugmentedImage picture;
};

/// The image with the box and the class of each object.
ReportPicture augmented_picture(const TrainingExample& example, const std::vector<std::string>& classes);

/// The images of the diagnosis with these names, in its order. Each has its wrong detections, its missed
/// objects and its right detections, whose tooltips say why a detection is wrong or an object was missed. The
/// caption is the image's name, the verdict says how many objects were found, and the remarks are the
/// reasons. Images that cannot be read are left out.
std::vector<ReportPicture> worst_pictures(const Diagnosis& diagnosis, const Dataset& dataset);
std::vector<ReportPicture> good_pictures(const Diagnosis& diagnosis, const Dataset& dataset);
std::vector<ReportPicture> example_pictures(const Diagnosis& diagnosis, const Dataset& dataset);

/// The image with its ground truth, and the same image as in `worst_pictures`. Empty if it cannot be read.
std::optional<ReportPicture> truth_picture(const Sample& sample, const std::vector<std::string>& classes);
std::optional<ReportPicture> judged_picture(const JudgedImage& judged, const Dataset& dataset);

}  // namespace rcnn
