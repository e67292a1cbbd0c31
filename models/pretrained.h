// Starts from the weights of another trained model: a detector with other classes, or an image classifier
// as the backbone.
//
// Unlike `load_weights`, which needs a file of exactly this model, `start_from_weights` takes what fits and
// reports what it did with the rest. Names are torchvision's, or what models/weight_names.h makes
// torchvision's; an image classifier's lack the prefix `backbone.body.`.
//
// A file may have batch normalisation, or have it folded into the convolutions. A file that has it fits
// every model; for `norm = folded` it is folded while loading. A file whose convolutions have a bias
// instead fits `folded`, and also `frozen`, where the bias becomes the shift of a normalisation that
// changes nothing else. It fits neither `batch` nor `group`, which would normalise for a second time.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "models/faster_rcnn.h"

namespace rcnn {

struct WeightsFile {
  std::string name;
  std::map<std::string, Tensor> tensors;
  std::vector<std::string> classes;  // without the background; empty if the file has no names
};

/// What was done with a file's tensors. Names are those of the model.
struct WeightsReport {
  std::string file;
  bool classifier = false;           // the file is an image classifier's
  std::vector<std::string> changes;  // what was done to names and types: see NameChanges::lines
  // How many of the model's tensors were set as a whole, and how many there are.
  size_t taken = 0, tensors = 0;
  std::vector<std::string> missing;  // in the model, not in the file
  // In both, but not of one shape or type: "name (2, 3), expected (4, 3)".
  std::vector<std::string> other_shape;
  std::vector<std::string> unexpected;  // in the file, not in the model; without a classifier's output layer
  bool other_classes = false;           // the outputs for class and box were not taken as a whole ...
  std::vector<std::string> kept_classes;  // ... but only these classes' rows, and the background's
  int64_t frozen_stages = 0;

  /// One or more lines of text, without a newline at the end.
  std::string text() const;
};

/// Sets what fits from `file` and freezes the stages of `model.config.frozen_stages`. If the file's classes
/// are not `classes`, the outputs of the head (`roi_heads.box_predictor`) keep their initial values, except
/// that with `keep_classes` the rows of classes with the same name are taken. Throws InputError, before
/// anything is changed, if nothing fits the backbone, if a stage to be frozen is not in the file, if batch
/// normalisation does not fit (see above), or if `keep_classes` finds no class names.
WeightsReport start_from_weights(FasterRcnn& model, const std::vector<std::string>& classes, WeightsFile file,
                                 bool keep_classes);

/// Converts the batch normalisation of a file's backbone to the form that the model has. Throws InputError
/// naming `file` if it does not fit (see above).
void fit_norms(FasterRcnn& model, std::map<std::string, Tensor>& tensors, const std::string& file);

/// Takes the first `stages` stages of the backbone (see ModelConfig::frozen_stages) out of training: their
/// parameters no longer require a gradient, and their batch normalisation uses its running statistics.
void freeze_stages(FasterRcnn& model, int64_t stages);

/// The same for the whole backbone and the feature pyramid: only the RPN and the head are trained.
void freeze_backbone(FasterRcnn& model);

/// Adapts a configuration to a start without weights: nothing is frozen, not even batch normalisation,
/// because frozen random values are of no use. Returns a line that says so, or "" if nothing was changed.
std::string start_from_scratch(ModelConfig& config);

}  // namespace rcnn
