// From images to detections in the images' own pixels.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "core/context.h"
#include "core/files/atomic_file.h"
#include "core/world.h"
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

/// The same for several images: element i holds the detections on image i.
/// Consecutive images that have the same size after resizing go through the network together, which is faster
/// on a GPU. Sums may then be rounded differently from those of one image alone.
std::vector<std::vector<Detection>> detect_images(Context& ctx, FasterRcnn& model,
                                                  std::span<const Image* const> images);

/// The detections on all images of a dataset, image by image. The proposals of a sample, if it has some,
/// replace those of the RPN. An image that cannot be decoded gets no detections and an entry in `faults`.
/// `progress(done, total)`, if given, is called after each image. `traces`, if given, receives one entry of
/// about 50 kB per image, which is empty for an image that cannot be decoded.
std::vector<Detection> detect_dataset(Context& ctx, FasterRcnn& model, const Dataset& dataset, int workers,
                                      std::vector<Fault>& faults,
                                      const std::function<void(size_t, size_t)>& progress = {},
                                      std::vector<Trace>* traces = nullptr);
/// The same on several ranks, each of which detects on a part of the images. Rank 0 gets what one process
/// would have found; the others get nothing. `between_images`, if given, may end all this by throwing: one
/// process calls it after each image, several now and then, all of them at the same points, so that they can
/// agree in it.
std::vector<Detection> detect_dataset(World& world, Context& ctx, FasterRcnn& model, const Dataset& dataset,
                                      int workers, std::vector<Fault>& faults,
                                      std::vector<Trace>* traces = nullptr,
                                      const std::function<void()>& between_images = {});

/// How many images are left out because their header or their pixels cannot be read.
size_t count_unreadable(const std::vector<Fault>& faults);
/// "2, which were left out"; empty if there are none.
std::string unreadable_words(const std::vector<Fault>& faults);

/// Marks the objects on images that could not be decoded, by the faults of `detect_dataset`, as not to be
/// counted: a detector that never saw an image has not missed what is on it.
void ignore_undecodable(Dataset& dataset, const std::vector<Fault>& faults);

/// Writes the list of write_detections image by image, so that none of it has to be kept.
class DetectionList {
 public:
  /// Every argument must outlive the list.
  DetectionList(FileWriter& file, const std::vector<std::string>& classes,
                const std::vector<int64_t>& category_ids);
  /// Appends the detections on one image.
  void add(const Sample& sample, std::span<const Detection> detections);
  /// Ends the list. If images could not be read, the last entry has their number.
  void finish(size_t unreadable_images = 0);

 private:
  void append(const std::string& text);
  FileWriter& file_;
  const std::vector<std::string>& classes_;
  const std::vector<int64_t>& category_ids_;
  std::string last_;  // the last entry, without its closing brace
  bool first_ = true;
  std::string buffer_;
};

/// Writes detections in COCO's results format, with file name and class name in addition to the numbers:
/// [{"image_id": ..., "file_name": ..., "category_id": ..., "category_name": ..., "bbox": [x, y, w, h],
/// "score": ...}].
/// Images and categories get COCO's numbers if the samples and `category_ids` (one per class) have them.
/// Otherwise they get the sample's id, which is a string, and the label. `unreadable_images` is as in
/// DetectionList::finish.
void write_detections(const std::filesystem::path& path, const std::vector<Detection>& detections,
                      const std::vector<Sample>& samples, const std::vector<std::string>& classes,
                      const std::vector<int64_t>& category_ids = {}, size_t unreadable_images = 0);

}  // namespace rcnn
