// Boxes on tensors: from the maps that a network predicts to a list of boxes. Every function here checks the
// shapes it is given, runs one op of kernels/boxes/, and is a constant to autograd.
//
// Each of these words has one meaning throughout the project:
//
//   box        (x1, y1, x2, y2) in pixels of the network's input
//   anchor     a reference box of the region proposal network (RPN), the same for every image of a batch
//   deltas     (dx, dy, dw, dh), the four numbers that move a reference box onto another box: the network
//              predicts them, and in training they are computed from the ground truth
//   proposal   a box that the RPN proposes: an anchor moved by its deltas that survived NMS
//   RoI        a box that the head pools and classifies: in detection the proposals, in training a sample of
//              the proposals and the ground truth
//   detection  a RoI moved by the deltas of its class that survived NMS
//
// Lists of boxes have a fixed capacity, and the number of rows in use is stored on the device, so that no
// function has to wait for the device. Rows that are not in use are padding: their boxes and scores are 0.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "core/context.h"

namespace rcnn {

struct GroundTruth;  // layers/box_targets.h

/// How deltas are computed from two boxes, and applied to a box (Girshick et al., "Rich feature
/// hierarchies", appendix C; the formulas are `encode` and `decode` in kernels/boxes/box_math.h).
struct BoxCoder {
  std::array<float, 4> weights = {1, 1, 1, 1};  // factors of dx, dy, dw and dh
  bool whole_pixels = false;    // py-faster-rcnn's convention: a box of width w ends at x1 + w - 1
  bool limit_log_scale = true;  // dw and dh are limited to ln(1000 / 16) before they are applied
};

// ---- anchors (Ren et al., "Faster R-CNN", section 3.1.1)

/// The anchors of one cell around the origin: (ratios x sizes, 4), ratio by ratio, in torchvision's order and
/// rounding. Height is size sqrt(ratio), width size / sqrt(ratio); corners are rounded to whole pixels,
/// halves to even.
std::vector<float> cell_anchors(std::span<const float> sizes, std::span<const float> ratios);

/// The same with py-faster-rcnn's rounding, for the convention of whole pixels. A box of 16 x 16 pixels,
/// (0, 0, 15, 15), is first given each ratio, its width and height rounded (halves to even), and then
/// enlarged around its centre by size / 16: the paper's sizes 128, 256 and 512 are its scales 8, 16 and 32.
std::vector<float> caffe2015_cell_anchors(std::span<const float> sizes, std::span<const float> ratios);

/// The anchors of one level: those of a cell, repeated on an h x w grid.
struct AnchorGrid {
  int64_t h = 0, w = 0;              // cells
  float stride_y = 0, stride_x = 0;  // pixels of the input from one cell to the next
  std::vector<float> cell_anchors;   // (A, 4), around the origin
};

/// The anchors of all levels, (sum of h w A, 4) f32, in the order (level, y, x, a).
Tensor make_anchors(Context& ctx, const std::vector<AnchorGrid>& levels);

// ---- from predictions to proposals (section 3.1)

/// What the RPN predicts, one f32 tensor per level. The tensors may have any shape whose elements are in
/// the order of the anchors: (N, H, W, A) and (N, H, W, A 4), for example.
struct RpnPredictions {
  std::vector<Tensor> scores;  // N x anchors of the level: logits of objectness
  std::vector<Tensor> deltas;  // N x anchors of the level x 4
};

/// The k highest scores of each level of each image: (N, levels, k) i32, the row within the level, best
/// first, padded with -1 if a level has fewer than k. Ties go to the lower row.
Tensor top_k(Context& ctx, int64_t n, const std::vector<Tensor>& scores, int64_t k);

/// The boxes from which NMS chooses, M per image.
struct Candidates {
  Tensor boxes;         // (N, M, 4) f32
  Tensor scores;        // (N, M) f32: logits of proposals, probabilities of detections
  Tensor group;         // (N, M) i32: only boxes of one group suppress each other; -1: not used
  int64_t columns = 0;  // see NmsArgs: detections are a matrix of RoIs and classes
};

struct DecodeOptions {
  BoxCoder coder = {};
  float min_size = 0;          // boxes with a shorter side after clipping are not used
  Tensor min_size_scale = {};  // (N) f32: multiplies min_size for each image; undefined: 1
  float min_score = 0;         // boxes with a lower probability (not logit) of objectness are not used
};

/// The anchors named by `rows` (from top_k), moved by their deltas and clipped to their image. `image_size`
/// (N, 2) f32 is the height and width of each image. M = levels k; the group is the level.
Candidates decode_proposals(Context& ctx, const Tensor& anchors, const RpnPredictions& predictions,
                            const Tensor& rows, const Tensor& image_size, const DecodeOptions& options);

// ---- from RoIs to detections (Girshick, "Fast R-CNN", section 2)

struct ClassBoxesOptions {
  BoxCoder coder = {};
  float min_score = 0;  // only probabilities above it become candidates
  float min_size = 0;   // boxes with a shorter side after clipping are not used
};

/// Every RoI combined with every class except the background (class 0): the RoI is moved by the deltas of
/// the class and clipped to the image. `probabilities` (N R, C); `deltas` (N R, C 4), or (N R, 4) if all
/// classes share them; `rois` (N, R, 4), of which each image uses the first `count` (N) i32. M = R (C - 1),
/// in the order (RoI, class); the group is the class.
Candidates class_boxes(Context& ctx, const Tensor& probabilities, const Tensor& deltas, const Tensor& rois,
                       const Tensor& count, const Tensor& image_size, const ClassBoxesOptions& options);

// ---- non-maximum suppression

struct NmsOptions {
  float threshold = 0.5f;     // a box is suppressed if its IoU with a better box of its group exceeds this
  int64_t max_boxes = 0;      // kept per image: the best of all groups together
  bool whole_pixels = false;  // see BoxCoder
};

/// The rows that NMS kept, best first.
struct KeptRows {
  Tensor rows;   // (N, max_boxes) i32, padded with -1
  Tensor count;  // (N) i32
};

/// Visits the boxes of each image by descending score, ties by ascending row, and keeps a box unless it
/// overlaps a box of its group that was kept before by more than the threshold.
KeptRows nms(Context& ctx, const Candidates& candidates, const NmsOptions& options);

/// Boxes in fixed capacity K, best first.
struct BoxList {
  Tensor boxes;   // (N, K, 4) f32, padded with 0
  Tensor scores;  // (N, K) f32, padded with 0
  Tensor group;   // (N, K) i32, padded with -1
  Tensor count;   // (N) i32
};

/// The candidates that NMS kept, in its order.
BoxList gather(Context& ctx, const Candidates& candidates, const KeptRows& kept);

/// The same followed by the ground-truth boxes, so that the head is trained on good boxes from the first
/// step on. K = max_boxes + G. Scores and group are left undefined.
BoxList gather_with_truth(Context& ctx, const Candidates& candidates, const KeptRows& kept,
                          const GroundTruth& truth);

}  // namespace rcnn
