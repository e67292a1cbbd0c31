// What the tensors of a detector say about it, for files without metadata: which model it is, how many
// classes it has, and which conventions it follows.
#pragma once

#include <map>
#include <string>

#include "core/tensor.h"
#include "models/config.h"
#include "models/weight_names.h"

namespace rcnn {

struct InferredDetector {
  ModelConfig config;
  int64_t classes = 0;   // without the background
  std::string not_used;  // parts of the file that this program does not have: "roi_heads.mask_head"
};

/// `tensors` have torchvision's names, which `changes` says were given to them; parts that are not used are
/// removed. Throws InputError naming `file`, which says what else the file is, if it is known.
///
/// Names and shapes give the backbone, its head, its normalisation, the number of classes and the width of
/// the head. Everything else is torchvision's default. In files of torchvision before 0.13, frozen batch
/// normalisation added nothing to the variance.
InferredDetector infer_detector(const std::string& file, std::map<std::string, Tensor>& tensors,
                                const NameChanges& changes);

/// The name of the model whose backbone the tensors have, or nothing: for a detector "resnet50-fpn", for a
/// classifier any of its models.
std::string guess_model(const std::map<std::string, Tensor>& tensors);

}  // namespace rcnn
