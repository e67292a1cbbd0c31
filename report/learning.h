// How a detector learns, watched on one image: what it makes of the image at some steps of its training, and
// the page that plays these frames.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"
#include "models/faster_rcnn.h"

namespace rcnn {

/// What the network makes of the image after some steps.
struct LearningFrame {
  struct Found {
    Box box;  // in pixels of the network's input
    float score = 0;
    int label = 0;  // 0 for a proposal
  };
  int64_t step = 0;
  std::string level;     // that of the best proposal: "P3"
  int64_t h = 0, w = 0;  // of its map
  int stride = 0;        // pixels of the input
  /// Of each cell of that map, the highest objectness of its anchors, in per cent.
  std::vector<int> objectness;
  int64_t proposal_count = 0;     // after non-maximum suppression
  std::vector<Found> proposals;   // the best of them, best first
  std::vector<Found> detections;  // the best, best first
  /// Of the objects on the image, if they are known: how many a proposal overlaps by an IoU of .5 or more,
  /// and how many are found.
  int64_t objects = 0, proposed = 0, found = 0;
};

/// Detects on the image. `objects` may be empty. Changes nothing in the model or the context.
LearningFrame take_frame(Context& ctx, FasterRcnn& model, const Image& image,
                         const std::vector<Object>& objects, int64_t step);
nlohmann::ordered_json frame_json(const LearningFrame& frame);
/// Throws nlohmann's exceptions if it is not what frame_json gives.
LearningFrame frame_of(const nlohmann::ordered_json& json);

/// The page with the frames, in the order of their steps; at least one. Of more than 120, as many are taken,
/// in even distances. `name` is the image's.
std::string learning_page(const std::string& name, const Image& image, const ModelConfig& config,
                          const std::vector<std::string>& classes, const std::vector<Object>& objects,
                          const std::vector<LearningFrame>& frames);

/// The page's script. It contains no character that XML reserves.
extern const std::string_view kLearningScript;

}  // namespace rcnn
