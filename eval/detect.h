// From images to detections in the images' own pixels.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
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
/// them as the image's index. `trace`, if given, receives the intermediate results. If `proposals` are given,
/// best first, the best `rpn-post-nms-top-n-test` of them replace those of the RPN.
std::vector<Detection> detect_image(Context& ctx, FasterRcnn& model, const Image& image, int index = 0,
                                    Trace* trace = nullptr, const std::vector<Box>* proposals = nullptr);

/// The same for several images: element i holds the detections on image i, whose index is `first_index` + i.
/// Consecutive images that have the same size after resizing go through the network together, which is faster
/// on a GPU. Sums may then be rounded differently from those of one image alone.
std::vector<std::vector<Detection>> detect_images(Context& ctx, FasterRcnn& model,
                                                  std::span<const Image* const> images, int first_index = 0);

/// The detections on all images of a dataset, image by image. The proposals of a sample, if it has some,
/// replace those of the RPN. An image that cannot be decoded gets no detections and an entry in `faults`.
/// `progress(done, total)`, if given, is called after each image. `traces`, if given, receives one entry of
/// about 50 kB per image, which is empty for an image that cannot be decoded.
std::vector<Detection> detect_dataset(Context& ctx, FasterRcnn& model, const Dataset& dataset, int workers,
                                      std::vector<Fault>& faults,
                                      const std::function<void(size_t, size_t)>& progress = {},
                                      std::vector<Trace>* traces = nullptr);

/// Marks the objects on images that could not be decoded, by the faults of `detect_dataset`, as not to be
/// counted: a detector that never saw an image has not missed what is on it.
void ignore_undecodable(Dataset& dataset, const std::vector<Fault>& faults);

/// Writes detections in COCO's results format, with file name and class name in addition to the numbers:
/// [{"image_id": ..., "file_name": ..., "category_id": ..., "category_name": ..., "bbox": [x, y, w, h],
/// "score": ...}].
/// Images and categories get COCO's numbers if the samples and `category_ids` (one per class) have them.
/// Otherwise they get the sample's id, which is a string, and the label.
void write_detections(const std::filesystem::path& path, const std::vector<Detection>& detections,
                      const std::vector<Sample>& samples, const std::vector<std::string>& classes,
                      const std::vector<int64_t>& category_ids = {});

}  // namespace rcnn
