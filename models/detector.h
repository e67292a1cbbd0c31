// A trained detector: a model, the names of its classes, and the safetensors file that holds both.
//
// The tensors have torchvision's names. The metadata has the model's configuration and class names, so that
// detection needs nothing but the file. A training run's checkpoint (train/checkpoint.h) is such a file
// with additional tensors, whose names begin with kOptimizerPrefix or kAveragePrefix; functions that read a
// detector ignore them.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/faster_rcnn.h"
#include "models/pretrained.h"

namespace rcnn {

/// A model and the names of its classes.
struct Detector {
  std::unique_ptr<FasterRcnn> model;
  std::vector<std::string> classes;        // without the background: label l is classes[l - 1]
  std::vector<int64_t> category_ids = {};  // COCO's category ids of the classes; empty if the data had none
  /// The recommended confidence threshold of each class; NaN for a class without one, empty if there are
  /// none.
  std::vector<float> confidence = {};
  /// To be shown: what was inferred from a file without metadata, or what the model lacks.
  std::string note = {};
  bool head_untrained = false;  // trained with --mode rpn: it proposes, but its detections mean nothing
};

/// The recommended confidence threshold of the label, or kUsualConfidence.
float confidence_of(const Detector& detector, int label);
inline constexpr float kUsualConfidence = 0.5f;

/// Writes the model alone, which is what `detect` and `eval` read.
void save_model(const std::filesystem::path& path, Detector& detector);
/// Builds the model from a file of `save_model` or `save_checkpoint`, from an exported one, or from one of
/// torchvision's detectors, whose model and classes follow from its tensors (see infer_detector and
/// coco_classes). The lines of the file `classes`, if one is given, replace the names of the classes. Throws
/// InputError naming the file.
Detector load_model(const std::filesystem::path& path, const std::filesystem::path& classes = {});

/// Sets the weights of a model from a file that `save_model` wrote of the same model at another time.
/// Throws InputError naming the file.
void reload_model(const std::filesystem::path& path, FasterRcnn& model);

/// The configuration of a detector that this program saved; nullopt for other files of weights. Throws
/// InputError naming the file if its tensors are too few for such a model, so that a model which is built
/// from the configuration takes memory in proportion to the file.
std::optional<ModelConfig> saved_config(const std::filesystem::path& path);

/// Starts the detector from the weights in a file, which may be a detector's, of this program or with
/// torchvision's names and with any classes, or an image classifier's. See start_from_weights, also for
/// what it throws.
WeightsReport load_weights_file(const std::filesystem::path& path, Detector& detector,
                                bool keep_classes = false);

// ---- shared with checkpoints

inline constexpr std::string_view kOptimizerPrefix = "optimizer.", kAveragePrefix = "ema.";

using Metadata = std::map<std::string, std::string>;

/// The metadata that save_model writes.
Metadata detector_metadata(const Detector& detector);
/// The class names in a file's metadata. Throws InputError naming the file when there are none.
std::vector<std::string> saved_classes(const Metadata& metadata, const std::filesystem::path& path);
/// The text under `key`. Throws InputError naming the file when it is missing.
const std::string& require_metadata(const Metadata& metadata, const std::string& key,
                                    const std::filesystem::path& path);
/// Moves the tensors whose names begin with `prefix` out of `tensors` and removes the prefix from their
/// names.
std::map<std::string, Tensor> take_prefixed(std::map<std::string, Tensor>& tensors, std::string_view prefix);

}  // namespace rcnn
