// Starting from weights that another model was trained to: a detector with other classes, or an image
// classifier as the backbone.
//
// Unlike `load_weights`, which wants a file of exactly this model, this takes what fits and says what it did
// with the rest. Names are torchvision's; an image classifier's lack the `backbone.body.` in front.
//
// Batch normalisation may be written either way. A file that still has it fits every model: one with
// `norm = folded` gets it folded into the convolutions on the way in. A file whose convolutions carry a bias
// instead fits `folded`, and `frozen`, where the bias becomes the shift of a normalisation that changes
// nothing else; but not `batch`, which would normalise what is normalised already.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "models/faster_rcnn.h"

namespace rcnn {

struct WeightsFile {
  std::string name;
  std::map<std::string, Tensor> tensors;
  std::vector<std::string> classes;  // without the background; empty where the file does not say
};

/// What became of a file's tensors. Names are those of the model.
struct WeightsReport {
  std::string file;
  bool classifier = false;           // the file is an image classifier's
  size_t taken = 0, tensors = 0;     // of the model's tensors, how many were set as a whole
  std::vector<std::string> missing;  // of the model, not in the file
  std::vector<std::string>
      other_shape;  // in both, but not of one shape or type: "name (2, 3), expected (4, 3)"
  std::vector<std::string> unexpected;    // in the file, not of the model; a classifier's output is left out
  bool other_classes = false;             // the class and box outputs were not taken as a whole ...
  std::vector<std::string> kept_classes;  // ... but these classes' rows, and the background's
  int64_t frozen_stages = 0;

  /// One to five lines for people, without a newline at the end.
  std::string text() const;
};

/// Sets what fits from `file` and freezes the stages of `model.config.frozen_stages`. Where the file's
/// classes are not `classes`, the outputs of the head (`roi_heads.box_predictor`) keep their initial values;
/// with `keep_classes` the rows of classes with equal names are taken all the same. Throws InputError, before
/// anything is changed, when nothing fits the backbone, when a stage to be frozen is not in the file, when
/// batch normalisation does not fit (see above), and when `keep_classes` finds no class names.
WeightsReport start_from_weights(FasterRcnn& model, const std::vector<std::string>& classes, WeightsFile file,
                                 bool keep_classes);

/// Takes the first `stages` stages of the backbone (see ModelConfig::frozen_stages) out of training: their
/// parameters want no gradient any more, their batch normalisation keeps to its running statistics.
void freeze_stages(FasterRcnn& model, int64_t stages);

/// The same for all of the backbone and the feature pyramid: RPN and head alone are trained.
void freeze_backbone(FasterRcnn& model);

/// Makes a configuration one to start without weights: nothing is frozen, batch normalisation included, for
/// frozen random values teach nothing. Gives a line that says so, or nothing where nothing was changed.
std::string start_from_scratch(ModelConfig& config);

}  // namespace rcnn
