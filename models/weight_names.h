// The names of the tensors in other programs' files, and torchvision's for the same layers.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace rcnn {

/// What was done to give a file's tensors torchvision's names.
struct NameChanges {
  std::string prefix;                  // removed from all names: "module.encoder_q."
  bool mmdetection = false;            // the names were mmdetection's
  std::string other_model;             // what other model they belong to, in a few words: "a YOLO"
  bool old = false;                    // some names were those of torchvision before 0.13
  std::vector<std::string> left_out;   // tensors without the prefix, under their names in the file
  std::vector<std::string> converted;  // the types other than f32 that are now f32: "bf16"

  /// One line for each change; empty if there was none.
  std::vector<std::string> lines() const;
};

/// Gives the tensors of a detector or of an image classifier the names that torchvision has for them:
///  - a common prefix, which wrappers such as DataParallel, Lightning or a self-supervised method add, is
///    removed. Which prefix it is follows from the names of well-known layers, so that it may be any. Where
///    several copies of a network have them, it is the first copy that is not a moving average;
///  - mmdetection's names, those of torchvision before 0.13, and those of a ResNet as a plain list of its
///    children are replaced. mmdetection's outputs for classes, which are in another order, keep theirs.
/// Counters of batch normalisation are dropped, and floating-point numbers of every type become f32.
NameChanges to_torchvision_names(std::map<std::string, Tensor>& tensors);

/// The first names, for messages: "a, b, c and 40 more".
std::string first_names(const std::vector<std::string>& names, size_t max_names = 4);
std::vector<std::string> names_of(const std::map<std::string, Tensor>& tensors);

}  // namespace rcnn
