// Running a detector on images, with boxes in pixels of the images.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "core/context.h"
#include "data/image.h"
#include "eval/detection.h"
#include "models/faster_rcnn.h"
#include "models/transform.h"

namespace rcnn {

/// Maps boxes from pixels of the network's input to pixels of an image: the inverse of `resized`.
struct ToImage {
  ToImage(const ModelConfig& config, const Image& image);
  Box operator()(const float* box) const;

  ResizedImage size;
  float width, height;  // of the image
};

/// The detections on one image, best first, with boxes in pixels of `image`. `index` is stored in each of
/// them. If `trace` is given, it receives proposals and candidates. If `proposals` are given, best first, the
/// best `rpn-post-nms-top-n-test` of them replace those of the RPN.
std::vector<Detection> detect_image(Context& ctx, FasterRcnn& model, const Image& image, int index = 0,
                                    Trace* trace = nullptr, const std::vector<Box>* proposals = nullptr);

/// The detections on every image of a dataset, image by image, in its proposals where it has some. An image
/// that cannot be decoded has no detections and adds an entry to `faults`. `progress(done, total)`, if given,
/// is called after each image. `traces`, if given, receives one entry per image, which takes about 50 kB; the
/// entry of an image that cannot be decoded is empty.
std::vector<Detection> detect_dataset(Context& ctx, FasterRcnn& model, const Dataset& dataset, int workers,
                                      std::vector<Fault>& faults,
                                      const std::function<void(size_t, size_t)>& progress = {},
                                      std::vector<Trace>* traces = nullptr);

/// Writes detections in COCO's results form, with file name and class name beside the numbers:
/// [{"image_id": ..., "file_name": ..., "category_id": ..., "category_name": ..., "bbox": [x, y, w, h],
/// "score": ...}].
/// Images and categories have COCO's numbers where the samples and `category_ids` (one per class) give them,
/// otherwise the id of the sample, which is a text, and the label.
void write_detections(const std::filesystem::path& path, const std::vector<Detection>& detections,
                      const std::vector<Sample>& samples, const std::vector<std::string>& classes,
                      const std::vector<int64_t>& category_ids = {});

}  // namespace rcnn
