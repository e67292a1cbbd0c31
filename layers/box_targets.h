// The targets of boxes in training: anchors and proposals are matched with the ground truth, a balanced
// sample of them is drawn, and the deltas that would move each onto its object are computed (Ren et al.,
// "Faster R-CNN", section 3.1.2). The results are constants to autograd. layers/boxes.h defines the terms.
#pragma once

#include "core/context.h"
#include "core/rng.h"
#include "layers/boxes.h"

namespace rcnn {

/// The objects in a batch of images, in fixed capacity: G is a power of two and at least the largest number
/// of objects in one image.
struct GroundTruth {
  Tensor boxes;     // (N, G, 4) f32, pixels of the network's input
  Tensor labels;    // (N, G) i32: classes, 1 and up
  Tensor count;     // (N) i32: objects that are not padding
  Tensor image_id;  // (N) i32: the key of each image's random sampling
};

struct MatchOptions {
  float high = 0.5f;          // boxes with at least this IoU are positive
  float low = 0.5f;           // those below this IoU are background; those in between are ignored
  bool promote_best = false;  // the boxes with the highest IoU with an object are positive, even below `high`
  bool whole_pixels = false;  // see BoxCoder
  // (N, 2) f32, height and width of each image: boxes that cross the border of their image are ignored. If
  // undefined, these boxes are matched as well.
  Tensor image_size = {};
};

/// Matches each box with the object that it overlaps most. Returns (N, R) i32: the object's index in the
/// ground truth, -1 for background, -2 for ignored boxes and padding. `boxes` is (N, R, 4), or (R, 4)
/// shared by all images, as anchors are; `count` (N) i32 says how many rows of each image are in use;
/// undefined: all.
Tensor match(Context& ctx, const Tensor& boxes, const Tensor& count, const GroundTruth& truth,
             const MatchOptions& options);

/// A random sample: at most max_rows * positive_fraction positive rows, the others background. The draw
/// depends only on the seed, the step, the purpose and the image's id.
struct SampleOptions {
  int64_t max_rows = 0;  // per image
  float positive_fraction = 0.5f;
  Purpose purpose = Purpose::rpn_sample;
};

/// Which rows of `matched` were drawn: (N, R) i32, 1 positive, 0 background, -1 not drawn.
Tensor sample_labels(Context& ctx, const Tensor& matched, const GroundTruth& truth,
                     const SampleOptions& options);

struct SampledRows {
  Tensor rows;   // (N, max_rows) i32, positive ones first, padded with -1
  Tensor count;  // (N) i32
};

/// The same draw as a list of rows.
SampledRows sample_rows(Context& ctx, const Tensor& matched, const GroundTruth& truth,
                        const SampleOptions& options);

/// The deltas that move each box onto the object that it was matched with: (N, R, 4) f32, 0 for boxes that
/// were matched with no object. `boxes` as in `match`.
Tensor box_deltas(Context& ctx, const Tensor& boxes, const Tensor& matched, const GroundTruth& truth,
                  const BoxCoder& coder);

/// The RoIs that train the head, S per image, in fixed capacity.
struct RoiSamples {
  Tensor rois;    // (N, S, 4) f32, padded with 0
  Tensor count;   // (N) i32
  Tensor labels;  // (N, S) i32: class, 0 background, -1 padding
  Tensor deltas;  // (N, S, 4) f32, 0 for background and padding
};

/// The boxes (N, R, 4) that were drawn, each with the class of its object and the deltas that move it there.
RoiSamples select_rois(Context& ctx, const Tensor& boxes, const Tensor& matched, const SampledRows& sampled,
                       const GroundTruth& truth, const BoxCoder& coder);

}  // namespace rcnn
