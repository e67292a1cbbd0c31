// Proposals of an RPN as a file, so that Fast R-CNN can be trained and evaluated on them, or on anybody's.
//
// The file has COCO's results form, as detections have (see eval/detect.h), without categories:
// [{"image_id": ..., "bbox": [x, y, w, h], "score": ...}], in pixels of the image. What the RPN of a joint
// model proposes is never written anywhere: it goes straight to the head.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/context.h"
#include "data/dataset.h"
#include "models/faster_rcnn.h"

namespace rcnn {

/// What was proposed on a split.
struct ProposalCounts {
  int64_t images = 0, boxes = 0;
  int64_t objects = 0, found = 0;  // objects asked for, and those that one of the best 300 overlaps by .5
};

/// Writes what the detector's RPN proposes on every image: up to `rpn-post-nms-top-n-train` boxes, as many as
/// the head sees in joint training, boxes to a hundredth of a pixel, scores from 0 to 1. An image that cannot
/// be decoded gets none and an entry in `faults`.
ProposalCounts write_proposals(Context& ctx, FasterRcnn& model, const Dataset& dataset, int workers,
                               const std::filesystem::path& path, std::vector<Fault>& faults);
/// "300 images, 212.4 proposals on each; 0.961 of the objects are among the best 300 (IoU .5)".
std::string describe(const ProposalCounts& counts);

/// Gives every sample the file's proposals of its image, best first, clipped to the image; an image that the
/// file does not name gets none. Categories are not read. Throws InputError naming the file for an image that
/// the dataset lacks, and what read_coco_results throws.
void read_proposals(const std::filesystem::path& path, Dataset& dataset);

}  // namespace rcnn
