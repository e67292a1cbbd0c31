// What each stage of a detection on one image did, on the host: which boxes it was given, which it kept, and
// which box suppressed which. Read from the tensors of the forward pass (models/faster_rcnn.h).
#pragma once

#include <cstdint>
#include <vector>

#include "eval/detect.h"
#include "models/faster_rcnn.h"

namespace rcnn {

/// A box of a list from which non-maximum suppression (NMS) chose.
struct StageBox {
  Box box;          // in pixels of the network's input
  Box seen;         // in pixels of the image, as in `Trace`
  float score = 0;  // a logit for the RPN, a probability for the head
  int group = -1;   // the level, or the class; -1: was not used
  int source = -1;  // the anchor, or the proposal, that it was made from
  int place = -1;   // among those that NMS kept, best first; -1: not kept
  /// The kept box that suppressed it, as an index into the same list; -1 if none did. A box that was used
  /// and is neither kept nor suppressed came after the last one wanted.
  int killer = -1;
  float killer_overlap = 0;  // its IoU with that box, as NMS computed it

  bool used() const { return group >= 0; }
};

/// The anchors of one level: `per_cell` for each of h x w cells.
struct StageLevel {
  int64_t h = 0, w = 0, per_cell = 0;
  int64_t first = 0;  // the index of the level's first anchor
  int stride = 0;     // pixels of the input

  int64_t count() const { return h * w * per_cell; }
};

struct Stages {
  std::vector<StageLevel> levels;
  std::vector<Box> anchors;       // of all levels, in pixels of the input
  std::vector<Box> seen_anchors;  // the same in pixels of the image; they may cross its border
  std::vector<float> objectness;  // logits, one per anchor
  std::vector<float> deltas;      // four per anchor
  /// Where the network moved each anchor, clipped to the image, in pixels of the image.
  std::vector<Box> predicted;
  std::vector<int> rank;  // of each anchor within its level by objectness, from 0
  /// The anchors that reached the best k of their level, moved by their deltas. NMS by level chose from them.
  std::vector<StageBox> proposed;
  std::vector<int> proposals;        // those it kept, best first: the proposals, as indices into `proposed`
  int64_t classes = 0;               // with the background
  std::vector<float> probabilities;  // of each proposal: `classes` numbers
  /// The box of each class for each proposal that reaches the score threshold. NMS by class chose from them.
  std::vector<StageBox> classified;
  std::vector<int> detections;  // those it kept, best first, as indices into `classified`

  size_t level_of(int64_t anchor) const;
  float probability(int proposal, int label) const {
    return probabilities[static_cast<size_t>(proposal * classes + label)];
  }
};

/// Copies the stages of the only image of a batch. Throws Error if the boxes that NMS kept and dropped do not
/// follow from its rule.
Stages read_stages(const ModelConfig& config, const DetectionTrace& trace, const ImageBatch& batch,
                   const ToImage& to_image);

/// Detects on the image, and reads the stages of that.
Stages detect_stages(Context& ctx, FasterRcnn& model, const Image& image);

/// Sets `place`, and `killer` of every used box that is not kept: the best kept box of its group, ranked
/// before it, whose IoU with it exceeds the threshold. `kept` are indices, best first. Returns the number of
/// boxes that came after the last one wanted.
int mark_killers(std::vector<StageBox>& boxes, const std::vector<int>& kept, float threshold, float plus_one);

}  // namespace rcnn
