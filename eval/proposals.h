// Files of proposals, on which Fast R-CNN can be trained and evaluated. They come from our RPN or from any
// other source.
//
// The format is COCO's results format, as for detections (see eval/detect.h), without categories:
// [{"image_id": ..., "bbox": [x, y, w, h], "score": ...}], in pixels of the image. The proposals of a jointly
// trained model are not written to a file; they go directly to the head.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/context.h"
#include "core/world.h"
#include "data/dataset.h"
#include "models/faster_rcnn.h"

namespace rcnn {

/// Counts of the proposals on a split.
struct ProposalCounts {
  int64_t images = 0, boxes = 0;
  /// The objects that are not ignored, and those that one of the 300 best proposals overlaps by IoU >= .5.
  int64_t objects = 0, found = 0;
};

/// Writes the proposals of the detector's RPN for every image: up to `rpn-post-nms-top-n-train` boxes, as
/// many as the head sees in joint training. Boxes are rounded to a hundredth of a pixel; scores are from 0 to
/// 1. An image that cannot be decoded gets no proposals and an entry in `faults`. Several ranks each look at
/// some of the images; rank 0 writes the file, and it alone has the counts. `between_images`, if given, is
/// called by all ranks at the same points, and may end all this by throwing: then no file is written.
ProposalCounts write_proposals(Context& ctx, FasterRcnn& model, const Dataset& dataset, int workers,
                               const std::filesystem::path& path, std::vector<Fault>& faults,
                               World& world = alone(), const std::function<void()>& between_images = {});
/// "300 images, 212.4 proposals per image; recall 0.961 with the best 300 (IoU .5)".
std::string describe(const ProposalCounts& counts);

/// Reads a file of proposals into the samples of a dataset, best first and clipped to the image. An image
/// that is not in the file gets an empty list. Categories are not read. Throws InputError naming the file for
/// an image that the dataset lacks, and the exceptions of read_coco_results.
void read_proposals(const std::filesystem::path& path, Dataset& dataset);

}  // namespace rcnn
