// What the diagnosis finds out about each image, and the images that it picks from them.
#pragma once

#include <vector>

#include "eval/diagnosis.h"
#include "eval/matching.h"

namespace rcnn {

inline constexpr double kRightOverlap = 0.5;
inline constexpr double kNearOverlap = 0.1;  // a detection that overlaps an object less is unrelated to it

/// What the detections show about an object.
struct Evidence {
  bool found = false;          // a right detection is shown
  bool other_class = false;    // it is paired with a wrong detection
  bool poorly_placed = false;  // one of its boxes is shown, but overlaps it too little
  bool low_score = false;      // one of its boxes overlaps it enough, but is not shown
};

/// A shown detection that is wrong.
struct Wrong {
  const Detection* detection;
  NearestObject nearest;
  int paired = -1;  // the object of another class that the confusion matrix pairs it with
  FalsePositive kind = FalsePositive::background;
  int mistaken = -1;  // the object of another class that it lies on, for the two kinds "wrong class"
};

/// The part of the diagnosis that concerns one image.
struct ImageFindings {
  std::vector<Evidence> evidence;  // for each object
  std::vector<Detection> right;
  std::vector<Wrong> wrong;  // best first
  std::vector<Miss> missed;
};

/// What the detections, and the traces if there are some, show of each image at these confidence thresholds,
/// one per class. The results point into `detections`. Throws what `diagnose` throws.
std::vector<ImageFindings> find_errors(const std::vector<Detection>& detections,
                                       const std::vector<Trace>& traces, const Dataset& dataset,
                                       const std::vector<float>& thresholds);

/// The images of `Diagnosis` with these names. `images` has one entry per sample.
std::vector<JudgedImage> worst_images(const std::vector<ImageFindings>& images, const Dataset& dataset,
                                      bool every_image);
std::vector<JudgedImage> good_images(const std::vector<ImageFindings>& images, const Dataset& dataset);
std::vector<JudgedImage> example_images(const std::vector<ImageFindings>& images, const Dataset& dataset);

}  // namespace rcnn
