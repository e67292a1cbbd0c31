// From images to detections in the images' own pixels.
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

/// From pixels of the network's input to those of an image, the way back of `resized`.
struct ToImage {
  ToImage(const ModelConfig& config, const Image& image);
  Box operator()(const float* box) const;

  ResizedImage size;
  float width, height;  // of the image
};

/// What is on one image, best first, boxes in pixels of `image`. `index` is stored in each detection, those
/// of `trace` too, which receives what was looked at when given. Where `proposals` are given, best first, the
/// best `rpn-post-nms-top-n-test` of them stand in for the RPN's.
std::vector<Detection> detect_image(Context& ctx, FasterRcnn& model, const Image& image, int index = 0,
                                    Trace* trace = nullptr, const std::vector<Box>* proposals = nullptr);

/// Detections on every image of a dataset, image by image, in its proposals where it has some. An image that
/// cannot be decoded gets none and an entry in `faults`. `progress(done, total)` is called after each image
/// when given. `traces`, when given, receives one entry an image, empty for one that cannot be decoded; an
/// image's takes some 50 kB.
std::vector<Detection> detect_dataset(Context& ctx, FasterRcnn& model, const Dataset& dataset, int workers,
                                      std::vector<Fault>& faults,
                                      const std::function<void(size_t, size_t)>& progress = {},
                                      std::vector<Trace>* traces = nullptr);

/// Writes detections in COCO's results form, with file name and class name beside the numbers:
/// [{"image_id": ..., "file_name": ..., "category_id": ..., "category_name": ..., "bbox": [x, y, w, h],
/// "score": ...}].
/// Images and categories have COCO's numbers where the samples and `category_ids` (one a class) give them,
/// else the sample's id, a text, and the label.
void write_detections(const std::filesystem::path& path, const std::vector<Detection>& detections,
                      const std::vector<Sample>& samples, const std::vector<std::string>& classes,
                      const std::vector<int64_t>& category_ids = {});

}  // namespace rcnn
