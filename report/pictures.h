// The pictures of the report: images shrunk to the size it shows, with boxes drawn in.
#pragma once

#include <string>
#include <vector>

#include "data/augment.h"
#include "report/report.h"

namespace rcnn {

/// A training image as the model was shown it, without padding.
struct TrainingExample {
  std::string id;
  AugmentedImage picture;
};

/// With every object and its class; ignored objects are dashed.
ReportPicture augmented_picture(const TrainingExample& example, const std::vector<std::string>& classes);

/// The diagnosis' worst images, in its order: missed objects dashed in white with their class, wrong
/// detections orange with class and score, right ones green, the reasons as remarks. Images that cannot be
/// read are left out.
std::vector<ReportPicture> worst_pictures(const Diagnosis& diagnosis, const Dataset& dataset);

/// A few images spread over the dataset, of those with objects, beside the detections from a score of .5 on.
std::vector<ReportExample> example_pictures(const std::vector<Detection>& detections, const Dataset& dataset);

}  // namespace rcnn
