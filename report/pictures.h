// The pictures of the report: images shrunk to the size at which they are shown, with boxes drawn in.
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

/// The image with the box and the class of each object. Ignored objects are dashed.
ReportPicture augmented_picture(const TrainingExample& example, const std::vector<std::string>& classes);

/// The worst images of the diagnosis, worst first. Missed objects are dashed in white with their class, wrong
/// detections are orange with class and score, right detections are green. The reasons become remarks. Images
/// that cannot be read are left out.
std::vector<ReportPicture> worst_pictures(const Diagnosis& diagnosis, const Dataset& dataset);

/// One image with what two detectors show on it: its ground truth, then A and B as in `worst_pictures`.
struct ComparedPicture {
  Image truth, a, b;
};

/// Empty if the image cannot be read.
std::optional<ComparedPicture> compared_picture(const Sample& sample, const WorstImage& a,
                                                const WorstImage& b, const std::vector<std::string>& classes);

/// A few images with objects, spread over the dataset, each with its ground truth and its detections that
/// reach the recommended threshold of their class, or .5 without a diagnosis.
std::vector<ReportExample> example_pictures(const std::vector<Detection>& detections, const Dataset& dataset,
                                            const Diagnosis* diagnosis = nullptr);

}  // namespace rcnn
